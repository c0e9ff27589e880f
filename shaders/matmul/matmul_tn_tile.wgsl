// y[i, j] = Σ_t a[t, i] · b[t, j], and sums[i] = Σ_t a[t, i], not written where summed = 0. Where splits > 1, y[s] has the s-th
// parts of all of y, then those of the sums.
// a [batch, k, m], b [batch, k, n], y [batch, m, n] or [splits, batch·m·n + summed·m], sums [m].
override summed: u32;
override m: u32;
override n: u32;
override k: u32;
//: let A_TERMS = 0
//: let B_TERMS = 0
//: let A_SUMS = 1
//: let B_SUMS = 0
//: use gemm
@group(0) @binding(0) var<storage, read> a: array<Vector>;
@group(0) @binding(1) var<storage, read> b: array<Vector>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

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
        return a[((item * k + t) * m + i) / $(V)u];
    }
    return Vector();
}

fn b_at(t: u32, j: u32, end: u32) -> Vector {
    if j < n && t < end {
        return b[((item * k + t) * n + j) / $(V)u];
    }
    return Vector();
}

// Where the parts of a split begin.
fn part(split: u32) -> u32 {
    return split * (batch * m * n + summed * m);
}

fn store(i: u32, j: u32, sum: f32, split: u32) {
    if i < m && j < n {
        y[part(split) + (item * m + i) * n + j] = sum;
    }
}

fn store_sums(i: u32, of_a: Vector, split: u32) {
    if summed == 0u || i >= m {
        return;
    }
    //: for single in 0..(5 - V) / 4
    store_sum(i, of_a, split);
    //: end
    //: for c in 0..V / 4 * 4
    store_sum(i + $(c)u, of_a[$(c)], split);
    //: end
}

fn store_sum(i: u32, sum: f32, split: u32) {
    if splits > 1u {
        y[part(split) + batch * m * n + i] = sum;
    } else {
        sums[i] = sum;
    }
}
