// y[n, r, s, c] = Σ_{i,j,o} dy[n, (r + pt - i) / sh, (s + pl - j) / sw, o] · weights[i, j, c, o], over the taps for
// which both quotients are whole and inside dy; where masked = 1, it is 0 where mask is not above 0.
// dy [n, oh, ow, o], weights [kh, kw, c, o] from texel `first` on, mask and y [n, h, w, c]; c and o are multiples of four.
// For subgroups of $(L): a workgroup owns $(R) pixels and $(V) vectors of four channels a lane.
//: use window
//: use texel
override first: u32;
@group(0) @binding(0) var dy: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var weights: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

struct Pixel { image: u32, bottom: u32, right: u32, live: bool }

struct Tap { at: u32, inside: bool }

fn rows() -> u32 { return n * h * w; }
fn columns() -> u32 { return c / 4u; }
fn taps() -> u32 { return kh * kw; }
fn terms() -> u32 { return o / 4u; }

fn a_row(row: u32) -> Pixel { return Pixel(row / (h * w), row / w % h + pt, row % w + pl, row < rows()); }

fn a_tap(pixel: Pixel, tap: u32) -> Tap {
    // Before the image both wrap round; what they give then is beyond it too.
    let down = pixel.bottom - tap / kw;
    let along = pixel.right - tap % kw;
    let whole = (down % sh == 0u) & (along % sw == 0u);
    let inside = pixel.live & whole & (down / sh < oh) & (along / sw < ow);
    return Tap(select(0u, ((pixel.image * oh + down / sh) * ow + along / sw) * (o / 4u), inside), inside);
}

fn a_at(tap: Tap, t: u32) -> vec4f { return select(vec4f(0.0), textureLoad(dy, texel(tap.at + t)), tap.inside); }

fn weight(i: u32) -> vec4f { return textureLoad(weights, texel(first + i)); }

fn b_at(tap: u32, t: u32, column: u32) -> mat4x4f {
    let at = (tap * c + column * 4u) * (o / 4u) + t;
    return transpose(mat4x4f(weight(at), weight(at + o / 4u), weight(at + o / 2u), weight(at + 3u * (o / 4u))));
}

//: use gemm_lanes
//: use store_masked_lanes
