// partials[s, i, j, c] = Σ x[n, a·sh + i·dilation_h - pt, b·sw + j·dilation_w - pl, c] · dy[n, a, b, c] over the places
// (a, b) in the rows of split s, and Σ dy[n, a, b, c] in a last line for the bias; x is zero outside the image. Each
// channel is its own group.
// x [n, h, w, c], dy [n, oh, ow, c], partials [splits, kh·kw + 1, c], c a multiple of four. A split has `per_split` of the
// n·oh rows of places. An invocation owns a vector of four sums.
//: use grouped_dw
alias V = vec4f;
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>;

fn terms() -> u32 { return kh * kw; }
fn tap(term: u32) -> u32 { return term; }
fn vectors() -> u32 { return c / 4u; }
fn first(vector: u32, term: u32) -> u32 { return vector; }
fn x_at(pixel: u32, vector: u32) -> vec4f { return x[pixel * vectors() + vector]; }
