// A convolution, ReLU and a 2 × 2 max pool in one: with z = conv2d(x, weights) + bias,
//   y[n, ph, pw, o] = max(0, max over p of z[n, 2·ph + p / 2, 2·pw + p % 2, o]);
//   argmax = the first p of the largest z, or 4 where the largest is not above 0.
// For few input channels; o is a multiple of four. x [n, h, w, c], weights [kh, kw, c, o], bias [o], y and argmax
// [n, ph, pw, o]. For subgroups of $(L): a workgroup owns a row of windows and a vector of four channels a lane.
override ph: u32;
override pw: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> argmax: array<vec4u>;

fn places() -> vec2u { return vec2u(2u * ph, 2u * pw); }

fn store_four(image: u32, top: u32, left: u32, column: u32, z: mat4x4f) {
    if left / 2u < pw {
        // z has its bias already.
        store_window(((image * ph + top / 2u) * pw + left / 2u) * (o / 4u) + column, z, vec4f(0.0));
    }
}

//: use bias_lanes
//: use patch_lanes
//: use store_window
