// partials[s, (i, j, c), o] = Σ x[n, oh·sh + i - pt, ow·sw + j - pl, c] · dy[n, oh, ow, o] over the s-th part of
// the output places; the row after the last tap has x = 1: the gradient of the bias.
// x [n, h, w, c], dy [n, oh, ow, o], partials [splits, kh·kw·c + 1, o].
// A matrix product: a row is a tap and an input channel, a term an output place.
//: use window
//: use gemm_tile
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
const a_term = $(TM)u;
const a_row = 1u;
const b_term = $(TN)u;
const b_column = 1u;

fn rows() -> u32 {
    return kh * kw * c + 1u;
}

fn columns() -> u32 {
    return o;
}

fn terms() -> u32 {
    return n * oh * ow;
}

fn a_at(weight: u32, place: u32, end: u32) -> f32 {
    if place >= end || weight >= kh * kw * c {
        return select(0.0, 1.0, place < end && weight == kh * kw * c);
    }
    let tap = weight / c;
    let row = place / ow % oh * sh + tap / kw - pt;
    let column = place % ow * sw + tap % kw - pl;
    // Rows and columns before the image wrap round and are beyond it too.
    if row < h && column < w {
        return x[((place / (oh * ow) * h + row) * w + column) * c + weight % c];
    }
    return 0.0;
}

fn b_at(place: u32, channel: u32, end: u32) -> f32 {
    if channel < o && place < end {
        return dy[place * o + channel];
    }
    return 0.0;
}

fn store(weight: u32, channel: u32, sum: f32, split: u32) {
    if weight < rows() && channel < o {
        partials[(split * rows() + weight) * o + channel] = sum;
    }
}
