// y[i, j] = Σ_t a[i, t] · b[t, j], then what lib/epilogue makes of it; where splits > 1, y[s, i, j] is the s-th part of the sum.
// a [batch, m, k], b [batch, k, n], bias [n], mask and y [batch, m, n], or y [splits, batch, m, n].
override m: u32;
override n: u32;
override k: u32;
//: use gemm_tile
//: use store_rows
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
const a_term = 1u;
const a_row = 16u;
const b_term = $(TN)u;
const b_column = 1u;

fn rows() -> u32 {
    return m;
}

fn columns() -> u32 {
    return n;
}

fn terms() -> u32 {
    return k;
}

fn a_at(i: u32, t: u32, end: u32) -> f32 {
    if i < m && t < end {
        return a[(item * m + i) * k + t];
    }
    return 0.0;
}

fn b_at(t: u32, j: u32, end: u32) -> f32 {
    if j < n && t < end {
        return b[(item * k + t) * n + j];
    }
    return 0.0;
}
