// partials[s, i, j, c] = Σ x[n, a·sh + i·dilation_h - pt, b·sw + j·dilation_w - pl, c] · dy[n, a, b, c] over the places
// (a, b) in the rows of split s, and Σ dy[n, a, b, c] in a last line for the bias; x is zero outside the image. Each
// channel is a group of its own.
// x [n, h, w, c], dy [n, oh, ow, c], partials [splits, kh·kw + 1, c], c a multiple of four. A split has `per_split` of the
// n·oh rows of places. An invocation owns a vector of four sums.
//: use window
override dilation_h: u32;
override dilation_w: u32;
override splits: u32;
override per_split: u32;
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let e = id.x + id.y * groups.x * 64u;
    let taps = kh * kw;
    let vectors = c / 4u;
    if e >= splits * (taps + 1u) * vectors {
        return;
    }
    let vector = e % vectors;
    let tap = e / vectors % (taps + 1u);
    let split = e / (vectors * (taps + 1u));
    let i = tap / kw;
    let j = tap % kw;
    var sum = vec4f(0.0);
    for (var line = split * per_split; line < min((split + 1u) * per_split, n * oh); line += 1u) {
        // Rows and columns before the image wrap round and are beyond it too.
        let row = line % oh * sh + i * dilation_h - pt;
        let begin = (line / oh * h + row) * w;
        for (var b = 0u; b < ow; b += 1u) {
            let column = b * sw + j * dilation_w - pl;
            let d = dy[(line * ow + b) * vectors + vector];
            if tap == taps {
                sum += d;
            } else if row < h && column < w {
                sum += x[(begin + column) * vectors + vector] * d;
            }
        }
    }
    partials[e] = sum;
}
