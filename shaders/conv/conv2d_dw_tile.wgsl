// partials[s, (i, j, c), o] = Σ x[n, oh·sh + i - pt, ow·sw + j - pl, c] · dy[n, oh, ow, o] over the s-th part of
// the output places; the row after the last tap has Σ dy[n, oh, ow, o]: the gradient of the bias.
// x [n, h, w, c], dy [n, oh, ow, o], partials [splits, kh·kw·c + 1, o].
// A matrix product: a row is a tap and an input channel, a term an output place.
//: use window
//: let A_TERMS = 0
//: let B_TERMS = 0
//: let A_SUMS = 0
//: let B_SUMS = 1
//: use gemm
@group(0) @binding(0) var<storage, read> x: array<Vector>;
@group(0) @binding(1) var<storage, read> dy: array<Vector>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

fn rows() -> u32 {
    return kh * kw * c;
}

fn columns() -> u32 {
    return o;
}

fn terms() -> u32 {
    return n * oh * ow;
}

fn a_at(weight: u32, place: u32, end: u32) -> Vector {
    let tap = weight / c;
    let row = place / ow % oh * sh + tap / kw - pt;
    let column = place % ow * sw + tap % kw - pl;
    // Rows and columns before the image wrap round and are beyond it too.
    if weight < rows() && place < end && row < h && column < w {
        return x[(((place / (oh * ow) * h + row) * w + column) * c + weight % c) / $(V)u];
    }
    return Vector();
}

fn b_at(place: u32, channel: u32, end: u32) -> Vector {
    if channel < o && place < end {
        return dy[(place * o + channel) / $(V)u];
    }
    return Vector();
}

fn store(weight: u32, channel: u32, sum: f32, split: u32) {
    if weight < rows() && channel < o {
        partials[(split * (rows() + 1u) + weight) * o + channel] = sum;
    }
}

fn store_sums(channel: u32, of_dy: Vector, split: u32) {
    if channel >= o {
        return;
    }
    let first = (split * (rows() + 1u) + rows()) * o + channel;
    //: for single in 0..(5 - V) / 4
    partials[first] = of_dy;
    //: end
    //: for c in 0..V / 4 * 4
    partials[first + $(c)u] = of_dy[$(c)];
    //: end
}
