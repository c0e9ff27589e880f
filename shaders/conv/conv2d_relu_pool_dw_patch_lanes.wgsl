// The gradients of weights and bias of a convolution with a ReLU and a 2 × 2 max pool after it: the sums of
// conv2d_dw, with dy[n, 2·ph + p / 2, 2·pw + p % 2, o] = dp[n, ph, pw, o] where argmax = p, else 0.
// For few input channels; o is a multiple of four. x [n, h, w, c], dp and argmax [n, ph, pw, o], partials
// [splits, kh·kw·c + 1, o], the last row the bias. For subgroups of $(L): a workgroup owns a part of the rows of
// windows and a vector of four channels a lane.
override ph: u32;
override pw: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dp: array<vec4f>;
@group(0) @binding(2) var<storage, read> argmax: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;

fn places() -> vec2u { return vec2u(2u * ph, 2u * pw); }

fn dy_four(image: u32, top: u32, left: u32, column: u32) -> mat4x4f {
    let live = left / 2u < pw;
    let at = select(0u, ((image * ph + top / 2u) * pw + left / 2u) * (o / 4u) + column, live);
    let given = select(vec4f(0.0), dp[at], live);
    let best = argmax[at];
    return mat4x4f(select(vec4f(0.0), given, best == vec4u(0u)), select(vec4f(0.0), given, best == vec4u(1u)),
        select(vec4f(0.0), given, best == vec4u(2u)), select(vec4f(0.0), given, best == vec4u(3u)));
}

//: use patch_dw_lanes
