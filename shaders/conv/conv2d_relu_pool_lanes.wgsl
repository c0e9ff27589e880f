// A convolution, ReLU and a 2 × 2 max pool in one: with z = conv2d(x, weights) + bias,
//   y[n, ph, pw, o] = max(0, max over p of z[n, 2·ph + p / 2, 2·pw + p % 2, o]);
//   argmax = the first p of the largest z, or 4 where the largest is not above 0. c and o are multiples of four.
// x [n, h, w, c], weights [kh, kw, c, o], bias [o], y and argmax [n, ph, pw, o].
// For subgroups of $(L): a workgroup owns $(R / 4) windows, of four places each, and $(V) vectors of four channels a lane.
override ph: u32;
override pw: u32;
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var weights: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> argmax: array<vec4u>;

// The places of a window are rows one after the other.
fn rows() -> u32 { return n * ph * pw * 4u; }

fn a_row(row: u32) -> Place {
    let window = row / 4u;
    let top = window / pw % ph * 2u + row % 4u / 2u;
    let left = window % pw * 2u + row % 2u;
    return Place(window / (ph * pw), top * sh - pt, left * sw - pl, row < rows());
}

fn store_four(row: u32, column: u32, z: mat4x4f, bias: vec4f) {
    if row < rows() {
        store_window(row / 4u * (o / 4u) + column, z, bias);
    }
}

//: use bias_lanes
//: use conv_lanes
//: use store_window
