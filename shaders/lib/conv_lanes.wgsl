// x and the weights of a convolution, both textures, as gemm_lanes takes them: x from its first texel on, the weights from
// `first`. c and o are multiples of four. The file that uses it declares a_row(row) -> Place.

//: use window
//: use texel

override first: u32;

// The image of a place, and the row and column at which its window begins: before the image they wrap round and are beyond
// it too.
struct Place { image: u32, top: u32, left: u32, live: bool }

struct Tap { at: u32, inside: bool }

fn columns() -> u32 { return o / 4u; }
fn taps() -> u32 { return kh * kw; }
fn terms() -> u32 { return c / 4u; }

fn a_tap(place: Place, tap: u32) -> Tap {
    let row = place.top + tap / kw;
    let column = place.left + tap % kw;
    let inside = place.live & (row < h) & (column < w);
    return Tap(select(0u, ((place.image * h + row) * w + column) * (c / 4u), inside), inside);
}

fn a_at(tap: Tap, t: u32) -> vec4f { return select(vec4f(0.0), textureLoad(x, texel(tap.at + t)), tap.inside); }

fn weight(i: u32) -> vec4f { return textureLoad(weights, texel(first + i)); }

fn b_at(tap: u32, t: u32, column: u32) -> mat4x4f {
    let at = (tap * c + t * 4u) * (o / 4u) + column;
    return mat4x4f(weight(at), weight(at + o / 4u), weight(at + o / 2u), weight(at + 3u * (o / 4u)));
}

//: use gemm_lanes
