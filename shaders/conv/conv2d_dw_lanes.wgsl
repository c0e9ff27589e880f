// partials[s, (i, j, c), o] = Σ x[n, oh·sh + i - pt, ow·sw + j - pl, c] · dy[n, oh, ow, o] over the s-th part of
// the rows of places; the row after the last tap has x = 1: the gradient of the bias. c and o are multiples of four.
// x [n, h, w, c], dy [n, oh, ow, o], partials [splits, kh·kw·c + 1, o].
// For subgroups of $(L): a workgroup owns one tap, $(R) input channels and $(V) vectors of four output channels a lane.
//: use window
override splits: u32;
override per_split: u32;
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>;

// A row of places and the row of pixels that the part's tap pairs with it.
struct Strip { places: u32, pixels: u32, right: u32, live: bool }

fn parts() -> u32 { return splits * kh * kw; }
fn rows() -> u32 { return c; }
fn columns() -> u32 { return o / 4u; }
fn terms() -> u32 { return ow; }

fn strips(part: u32) -> vec2u {
    let split = part / (kh * kw);
    return vec2u(split * per_split, min((split + 1u) * per_split, n * oh));
}

fn strip_at(strip: u32, part: u32) -> Strip {
    // Rows and columns before the image wrap round and are beyond it too.
    let tap = part % (kh * kw);
    let row = strip % oh * sh + tap / kw - pt;
    return Strip(strip * ow, (strip / oh * h + row) * w, tap % kw - pl, row < h);
}

fn a_at(strip: Strip, t: u32, row: u32) -> vec4f {
    let column = t * sw + strip.right;
    let inside = strip.live & (t < ow) & (column < w);
    return select(vec4f(0.0), x[select(0u, (strip.pixels + column) * (c / 4u) + row, inside)], inside);
}

fn b_at(strip: Strip, t: u32, column: u32) -> vec4f {
    let at = select(0u, (strip.places + t) * columns(), t < ow);
    return select(vec4f(0.0), dy[at + column], t < ow);
}

fn store(part: u32, row: u32, column: u32, sum: vec4f) {
    partials[(part / (kh * kw) + part * c + row) * columns() + column] = sum;
}

fn store_a_sums(row: u32, total: vec4f) {}

fn store_b_sums(part: u32, column: u32, total: vec4f) {
    if part % (kh * kw) == 0u {
        partials[(part / (kh * kw) + (part + kh * kw) * c) * columns() + column] = total;
    }
}

//: use gemm_tn_lanes
