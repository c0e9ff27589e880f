// y[n, oh, ow, o] = Σ_{i,j,c} x[n, oh·sh + i - pt, ow·sw + j - pl, c] · weights[i, j, c, o] + bias[o],
// then what lib/epilogue_normal_lanes makes of it; x is zero outside the image; c and o are multiples of four.
// x [n, h, w, c], weights [kh, kw, c, o], bias [o], y [n, oh, ow, o].
// For subgroups of $(L): a workgroup owns $(R) output places and $(V) vectors of four channels a lane.
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var weights: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

fn rows() -> u32 { return n * oh * ow; }

fn a_row(row: u32) -> Place {
    return Place(row / (oh * ow), row / ow % oh * sh - pt, row % ow * sw - pl, row < rows());
}

fn store(row: u32, column: u32, sum: vec4f, bias: vec4f) { y[row * columns() + column] = finished(sum + bias, column); }

//: use bias_lanes
//: use conv_lanes
//: use epilogue_normal_lanes
//: use row_by_row
