// A product y [batch, m, n] of the rows of a [batch, m, k] and a matrix b of each batch, whose layout is that of b_term,
// b_column and b_at() in the file that uses this.
override m: u32;
override n: u32;
override k: u32;
//: use gemm_tile
//: use store_rows
//: use epilogue
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
const a_term = 1u;
const a_row = 16u;

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
