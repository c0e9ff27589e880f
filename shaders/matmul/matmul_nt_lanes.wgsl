// y[i, j] = Σ_t a[i, t] · b[j, t] + bias[j], and the activation of it; k and n are multiples of four.
// a [batch, m, k], b [batch, n, k], bias [n], y [batch, m, n].
// For subgroups of $(L): a workgroup owns $(R) rows and $(V) vectors of four columns a lane.
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var b: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

fn b_at(tap: u32, t: u32, column: u32) -> mat4x4f {
    let at = (item * columns() + column) * k + t;
    return transpose(mat4x4f(b_texel(at), b_texel(at + k / 4u), b_texel(at + k / 2u), b_texel(at + 3u * (k / 4u))));
}

fn store(row: u32, column: u32, sum: vec4f, bias: vec4f) {
    y[(item * m + row) * columns() + column] = activated(sum + bias);
}

//: use activation_lanes
//: use bias_lanes
//: use matrix_lanes
//: use row_by_row
