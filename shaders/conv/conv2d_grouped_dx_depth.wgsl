// dx[n, r, s, c] = Σ dy[n, a, b, c] · weights[i, j, 0, c] over the places (a, b) and taps (i, j) with
// a·sh + i·dilation_h - pt = r and b·sw + j·dilation_w - pl = s. Each channel is its own group.
// dy [n, oh, ow, c], weights [kh, kw, 1, c], dx [n, h, w, c], c a multiple of four; an invocation owns a vector of four
// channels of one pixel, `count` in all, and gathers.
//: use grouped_dx
alias V = vec4f;
@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

fn vectors() -> u32 { return c / 4u; }
fn meets(vector: u32) -> vec2u { return vec2u(vector); }

fn add(sum: vec4f, place: u32, tap: u32, own: vec2u) -> vec4f {
    return sum + dy[place * vectors() + own[0]] * weights[tap * vectors() + own[1]];
}
