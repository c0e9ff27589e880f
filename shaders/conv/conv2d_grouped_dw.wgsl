// partials[s, i, j, k, o] = Σ x[n, a·sh + i·dilation_h - pt, b·sw + j·dilation_w - pl, o / outer · inner + k]
// · dy[n, a, b, o] over the places (a, b) in the rows of split s, and Σ dy[n, a, b, o] in a last line for the bias;
// x is zero outside the image.
// x [n, h, w, c], dy [n, oh, ow, o], partials [splits, kh·kw·inner + 1, o]: a group has `inner` channels of x and `outer`
// of y. A split has `per_split` of the n·oh rows of places. An invocation owns one sum.
//: use window
override dilation_h: u32;
override dilation_w: u32;
override inner: u32;
override outer: u32;
override splits: u32;
override per_split: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let e = id.x + id.y * groups.x * 64u;
    let terms = kh * kw * inner;
    if e >= splits * (terms + 1u) * o {
        return;
    }
    let channel = e % o;
    let term = e / o % (terms + 1u);
    let split = e / (o * (terms + 1u));
    let i = term / inner / kw;
    let j = term / inner % kw;
    let first = channel / outer * inner + term % inner;
    var sum = 0.0;
    for (var line = split * per_split; line < min((split + 1u) * per_split, n * oh); line += 1u) {
        // Rows and columns before the image wrap round and are beyond it too.
        let row = line % oh * sh + i * dilation_h - pt;
        let begin = (line / oh * h + row) * w;
        for (var b = 0u; b < ow; b += 1u) {
            let column = b * sw + j * dilation_w - pl;
            let d = dy[(line * ow + b) * o + channel];
            if term == terms {
                sum += d;
            } else if row < h && column < w {
                sum += x[(begin + column) * c + first] * d;
            }
        }
    }
    partials[e] = sum;
}
