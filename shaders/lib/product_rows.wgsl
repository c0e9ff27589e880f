// A product y [batch, m, n] of the rows of a [batch, m, k] and a matrix b of each batch, whose layout is that of
// B_TERMS and b_at() in the file that uses this.
override m: u32;
override n: u32;
override k: u32;
//: let A_TERMS = 1
//: let A_SUMS = 0
//: let B_SUMS = 0
//: use gemm
//: use store_rows
//: use epilogue
@group(0) @binding(0) var<storage, read> a: array<Vector>;
@group(0) @binding(1) var<storage, read> b: array<Vector>;

fn rows() -> u32 {
    return m;
}

fn columns() -> u32 {
    return n;
}

fn terms() -> u32 {
    return k;
}

fn a_at(i: u32, t: u32, end: u32) -> Vector {
    if i < m && t < end {
        return a[((item * m + i) * k + t) / $(V)u];
    }
    return Vector();
}
