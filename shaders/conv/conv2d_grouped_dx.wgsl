// dx[n, r, s, c] = Σ dy[n, a, b, q] · weights[i, j, c mod inner, q] over the places (a, b) and taps (i, j) with
// a·sh + i·dilation_h - pt = r and b·sw + j·dilation_w - pl = s, and the outputs q of c's group.
// dy [n, oh, ow, o], weights [kh, kw, inner, o], dx [n, h, w, c]: a group has `inner` channels of x and `outer` of y.
// An invocation owns one of `count` elements of dx and gathers.
//: use grouped_dx
alias V = f32;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

fn vectors() -> u32 { return c; }

fn meets(channel: u32) -> vec2u {
    let first = channel / inner * outer;
    return vec2u(first, channel % inner * o + first);
}

fn add(sum: f32, place: u32, tap: u32, own: vec2u) -> f32 {
    var all = sum;
    for (var q = 0u; q < outer; q += 1u) {
        all += dy[place * o + own[0] + q] * weights[tap * inner * o + own[1] + q];
    }
    return all;
}
