// partials[s, (i, j, c), o] = Σ x[n, oh·sh + i - pt, ow·sw + j - pl, c] · dy[n, oh, ow, o] over the s-th part of
// the pairs of rows; the row after the last tap has x = 1: the gradient of the bias. For few input channels; o is
// a multiple of four. x [n, h, w, c], dy [n, oh, ow, o], partials [splits, kh·kw·c + 1, o].
// For subgroups of $(L): a workgroup owns a part and a vector of four channels a lane.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>;

fn places() -> vec2u { return vec2u(oh, ow); }

fn dy_at(image: u32, row: u32, left: u32, column: u32) -> vec4f {
    let live = (row < oh) & (left < ow);
    let at = ((image * oh + row) * ow + left) * (o / 4u) + column;
    return select(vec4f(0.0), dy[select(0u, at, live)], live);
}

fn dy_four(image: u32, top: u32, left: u32, column: u32) -> mat4x4f {
    return mat4x4f(dy_at(image, top, left, column), dy_at(image, top, left + 1u, column),
        dy_at(image, top + 1u, left, column), dy_at(image, top + 1u, left + 1u, column));
}

//: use patch_dw_lanes
