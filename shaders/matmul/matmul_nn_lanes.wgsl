// y[i, j] = Σ_t a[i, t] · b[t, j]; where masked = 1, it is 0 where mask[i, j] is not above 0. k and n are multiples of
// four. a [batch, m, k], b [batch, k, n], mask and y [batch, m, n].
// For subgroups of $(L): a workgroup owns $(R) rows and $(V) vectors of four columns a lane.
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var b: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

fn b_at(tap: u32, t: u32, column: u32) -> mat4x4f {
    let at = (item * terms() + t) * n + column;
    return mat4x4f(b_texel(at), b_texel(at + n / 4u), b_texel(at + n / 2u), b_texel(at + 3u * (n / 4u)));
}

//: use matrix_lanes
//: use store_masked_lanes
