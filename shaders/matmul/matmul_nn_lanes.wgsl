// y[i, j] = Σ_t a[i, t] · b[t, j]; where masked = 1, it is 0 where mask[i, j] is not above 0. k and n are multiples of
// four. a [m, k], b [k, n], mask and y [m, n].
// For subgroups of $(L): a workgroup owns $(R) rows and $(V) vectors of four columns a lane.
override masked: u32;
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var b: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

fn b_at(tap: u32, t: u32, column: u32) -> mat4x4f {
    let at = t * n + column;
    return mat4x4f(b_texel(at), b_texel(at + n / 4u), b_texel(at + n / 2u), b_texel(at + 3u * (n / 4u)));
}

fn bias_at(column: u32) -> vec4f { return vec4f(0.0); }

fn store(row: u32, column: u32, sum: vec4f, bias: vec4f) {
    let at = row * (n / 4u) + column;
    let kept = vec4<bool>(masked == 0u) | (mask[at] > vec4f(0.0));
    y[at] = select(vec4f(0.0), sum, kept);
}

//: use matrix_lanes
//: use row_by_row
