// dx[n, r, s, c] = Σ dy[n, a, b, c] · weights[i, j, 0, c] over the places (a, b) and taps (i, j) with
// a·sh + i·dilation_h - pt = r and b·sw + j·dilation_w - pl = s. Each channel is a group of its own.
// dy [n, oh, ow, c], weights [kh, kw, 1, c], dx [n, h, w, c], c a multiple of four; an invocation owns a vector of four
// channels of one pixel, `count` in all, and gathers.
override count: u32;
//: use window
//: use reader
override dilation_h: u32;
override dilation_w: u32;
@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let e = id.x + id.y * groups.x * 64u;
    if e >= count {
        return;
    }
    let vectors = c / 4u;
    let vector = e % vectors;
    let column = e / vectors % w + pl;
    let row = e / (vectors * w) % h + pt;
    let image = e / (vectors * w * h);
    var sum = vec4f(0.0);
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
            sum += dy[((image * oh + a) * ow + b) * vectors + vector] * weights[(i * kw + j) * vectors + vector];
        }
    }
    dx[e] = sum;
}
