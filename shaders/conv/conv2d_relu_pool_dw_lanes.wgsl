// partials[s, (i, j, c), o] = Σ x[n, (2·ph + p / 2)·$(DH) + i, (2·pw + p % 2)·$(DW) + j, c] · dp[n, ph, pw, o] with
// p = argmax[n, ph, pw, o], over the s-th part of the windows with p < 4; the row after the last tap has x = 1: the
// gradient of the bias. Only a window's largest place hands a gradient back, so one term serves for four.
// x [n, h, w, c], dp and argmax [n, ph, pw, o], partials [splits, $(KH)·$(KW)·c + 1, o]; c and o are multiples of four.
// For subgroups of $(L): a workgroup owns every tap, $(4 * E) output channels and a vector of four input channels a lane.
override ph: u32;
override pw: u32;
override padded: u32 = 0u;
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var<storage, read> dp: array<vec4f>;
@group(0) @binding(2) var<storage, read> argmax: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;

fn places() -> u32 { return n * ph * pw; }

fn corner(window: u32) -> vec3u {
    return vec3u(window / (ph * pw), window / pw % ph * $(2 * DH)u, window % pw * $(2 * DW)u);
}

fn given(window: u32, column: u32) -> Given {
    let best = argmax[window * (o / 4u) + column];
    return Given(select(vec4f(0.0), dp[window * (o / 4u) + column], best < vec4u(4u)), best);
}

//: use taps_lanes
