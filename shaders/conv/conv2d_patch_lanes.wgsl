// y[n, oh, ow, o] = Σ_{i,j,c} x[n, oh·sh + i - pt, ow·sw + j - pl, c] · weights[i, j, c, o] + bias[o],
// then what lib/epilogue_normal_lanes makes of it; for few input channels; o is a multiple of four.
// x [n, h, w, c], weights [kh, kw, c, o], bias [o], y [n, oh, ow, o].
// For subgroups of $(L): a workgroup owns two rows of places and a vector of four channels a lane.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

fn places() -> vec2u { return vec2u(oh, ow); }

fn store_four(image: u32, top: u32, left: u32, column: u32, z: mat4x4f) {
    //: for p in 0..4
    if (top + $(p / 2)u < oh) & (left + $(p % 2)u < ow) {
        let at = ((image * oh + top + $(p / 2)u) * ow + left + $(p % 2)u) * (o / 4u) + column;
        y[at] = finished(z[$(p)], column);
    }
    //: end
}

//: use bias_lanes
//: use epilogue_normal_lanes
//: use patch_lanes
