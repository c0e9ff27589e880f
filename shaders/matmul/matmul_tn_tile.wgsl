// y[i, j] = Σ_t a[t, i] · b[t, j], and where summed = 1 also sums[i] = Σ_t a[t, i]: column n of the product, with
// b[t, n] = 1. Where splits > 1, y[s] has the s-th parts of all of y, then those of the sums.
// a [batch, k, m], b [batch, k, n], y [batch, m, n] or [splits, batch·m·n + summed·m], sums [m].
override summed: u32;
override m: u32;
override n: u32;
override k: u32;
//: use gemm_tile
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
const a_term = $(TM)u;
const a_row = 1u;
const b_term = $(TN)u;
const b_column = 1u;

fn rows() -> u32 {
    return m;
}

fn columns() -> u32 {
    return n + summed;
}

fn terms() -> u32 {
    return k;
}

fn a_at(i: u32, t: u32, end: u32) -> f32 {
    if i < m && t < end {
        return a[(item * k + t) * m + i];
    }
    return 0.0;
}

fn b_at(t: u32, j: u32, end: u32) -> f32 {
    if j < n && t < end {
        return b[(item * k + t) * n + j];
    }
    return select(0.0, 1.0, j == n);
}

fn store(i: u32, j: u32, sum: f32, split: u32) {
    if i >= m || j >= n + summed {
        return;
    }
    let count = batch * m * n;
    let at = select((item * m + i) * n + j, count + i, j == n);
    if splits > 1u {
        y[split * (count + summed * m) + at] = sum;
    } else if j < n {
        y[at] = sum;
    } else {
        sums[i] = sum;
    }
}
