// dx[n, r, s, c] = Σ dy[n, a, b, q] · weights[i, j, c mod inner, q] over the places (a, b) and taps (i, j) with
// a·sh + i·dilation_h - pt = r and b·sw + j·dilation_w - pl = s, and the outputs q of c's group.
// dy [n, oh, ow, o], weights [kh, kw, inner, o], dx [n, h, w, c]: a group has `inner` channels of x and `outer` of y.
// An invocation owns one of `count` elements of dx and gathers.
override count: u32;
//: use window
//: use reader
override dilation_h: u32;
override dilation_w: u32;
override inner: u32;
override outer: u32;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let e = id.x + id.y * groups.x * 64u;
    if e >= count {
        return;
    }
    let channel = e % c;
    let column = e / c % w + pl;
    let row = e / (c * w) % h + pt;
    let image = e / (c * w * h);
    let first = channel / inner * outer;
    var sum = 0.0;
    for (var i = 0u; i < kh; i += 1u) {
        let a = reader(row, i * dilation_h, sh);
        if a >= oh {
            continue;
        }
        for (var j = 0u; j < kw; j += 1u) {
            let b = reader(column, j * dilation_w, sw);
            if b >= ow {
                continue;
            }
            let place = ((image * oh + a) * ow + b) * o + first;
            let tap = ((i * kw + j) * inner + channel % inner) * o + first;
            for (var q = 0u; q < outer; q += 1u) {
                sum += dy[place + q] * weights[tap + q];
            }
        }
    }
    dx[e] = sum;
}
