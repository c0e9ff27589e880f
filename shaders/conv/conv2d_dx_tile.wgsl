// y[n, r, s, c] = Σ_{i,j,o} dy[n, (r + pt - i) / sh, (s + pl - j) / sw, o] · weights[i, j, c, o], over the taps for which
// both quotients are whole and inside dy, then what lib/epilogue makes of it: the gradient of a convolution's input. Where
// splits > 1, y[p, n, r, s, c] is the p-th part of the sum.
// dy [n, oh, ow, o], weights [kh, kw, c, o], bias [c], mask and y [n, h, w, c], or y [splits, n, h, w, c].
// A matrix product: a row is a pixel, a term a tap and an output channel.
//: use window
//: let A_TERMS = 1
//: let B_TERMS = 1
//: let A_SUMS = 0
//: let B_SUMS = 0
//: use gemm
//: use store_rows
//: use epilogue
@group(0) @binding(0) var<storage, read> dy: array<Vector>;
@group(0) @binding(1) var<storage, read> weights: array<Vector>;

fn rows() -> u32 {
    return n * h * w;
}

fn columns() -> u32 {
    return c;
}

fn terms() -> u32 {
    return kh * kw * o;
}

fn a_at(pixel: u32, t: u32, end: u32) -> Vector {
    let tap = t / o;
    let row = pixel / w % h + pt - tap / kw;
    let column = pixel % w + pl - tap % kw;
    // Before the image both wrap round; what they give then is beyond it too.
    if pixel < n * h * w && t < end && row % sh == 0u && column % sw == 0u && row / sh < oh && column / sw < ow {
        return dy[(((pixel / (h * w) * oh + row / sh) * ow + column / sw) * o + t % o) / $(V)u];
    }
    return Vector();
}

fn b_at(t: u32, channel: u32, end: u32) -> Vector {
    if channel < c && t < end {
        return weights[((t / o * c + channel) * o + t % o) / $(V)u];
    }
    return Vector();
}
