// partials[s, i, j, k, o] = Σ x[n, a·sh + i·dilation_h - pt, b·sw + j·dilation_w - pl, o / outer · inner + k]
// · dy[n, a, b, o] over the places (a, b) in the rows of split s, and Σ dy[n, a, b, o] in a last line for the bias;
// x is zero outside the image.
// x [n, h, w, c], dy [n, oh, ow, o], partials [splits, kh·kw·inner + 1, o]: a group has `inner` channels of x and `outer`
// of y. A split has `per_split` of the n·oh rows of places. An invocation owns one sum.
//: use grouped_dw
alias V = f32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

fn terms() -> u32 { return kh * kw * inner; }
fn tap(term: u32) -> u32 { return term / inner; }
fn vectors() -> u32 { return o; }
fn first(channel: u32, term: u32) -> u32 { return channel / outer * inner + term % inner; }
fn x_at(pixel: u32, channel: u32) -> f32 { return x[pixel * c + channel]; }
