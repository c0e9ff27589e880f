// partials[s, i, j, k, o] = Σ x[n, a·sh + i·dilation_h - pt, b·sw + j·dilation_w - pl, o / outer · inner + k]
// · dy[n, a, b, o] over the places (a, b) in the rows of split s, and Σ dy[n, a, b, o] in a last line for the bias;
// x is zero outside the image.
// x [n, h, w, c], dy [n, oh, ow, o], partials [splits, kh·kw·inner + 1, o]: a group has `inner` channels of x and `outer`,
// a multiple of four, of y. A split has `per_split` of the n·oh rows of places. An invocation owns a vector of four sums.
//: use grouped_dw
alias V = vec4f;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>;

fn terms() -> u32 { return kh * kw * inner; }
fn tap(term: u32) -> u32 { return term / inner; }
fn vectors() -> u32 { return o / 4u; }
fn first(vector: u32, term: u32) -> u32 { return 4u * vector / outer * inner + term % inner; }
fn x_at(pixel: u32, channel: u32) -> f32 { return x[pixel * c + channel]; }
