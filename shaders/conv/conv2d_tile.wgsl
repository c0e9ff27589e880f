// y[n, oh, ow, o] = Σ_{i,j,c} x[n, oh·sh + i - pt, ow·sw + j - pl, c] · weights[i, j, c, o], then what
// lib/epilogue_normal makes of it; x is zero outside the image. Where splits > 1, y[s, n, oh, ow, o] is the s-th part of the sum.
// x [n, h, w, c], weights [kh, kw, c, o], bias, gamma, beta, mean and variance [o], y [n, oh, ow, o] or
// [splits, n, oh, ow, o].
// A matrix product: a row is an output place, a term a tap and an input channel.
//: use window
//: let A_TERMS = 1
//: let B_TERMS = 0
//: let A_SUMS = 0
//: let B_SUMS = 0
//: use gemm
//: use store_rows
//: use epilogue_normal
@group(0) @binding(0) var<storage, read> x: array<Vector>;
@group(0) @binding(1) var<storage, read> weights: array<Vector>;

fn rows() -> u32 {
    return n * oh * ow;
}

fn columns() -> u32 {
    return o;
}

fn terms() -> u32 {
    return kh * kw * c;
}

fn a_at(place: u32, t: u32, end: u32) -> Vector {
    let tap = t / c;
    let row = (place / ow % oh) * sh + tap / kw - pt;
    let column = (place % ow) * sw + tap % kw - pl;
    // Rows and columns before the image wrap round and are beyond it too.
    if place < n * oh * ow && t < end && row < h && column < w {
        return x[(((place / (oh * ow) * h + row) * w + column) * c + t % c) / $(V)u];
    }
    return Vector();
}

fn b_at(t: u32, channel: u32, end: u32) -> Vector {
    if channel < o && t < end {
        return weights[(t * o + channel) / $(V)u];
    }
    return Vector();
}
