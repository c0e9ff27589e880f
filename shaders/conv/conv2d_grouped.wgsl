// y[n, oh, ow, o] = bias[o] + Σ_{i,j,k} x[n, oh·sh + i·dilation_h - pt, ow·sw + j·dilation_w - pl, o / outer · inner + k]
// · weights[i, j, k, o], and the activation of it; x is zero outside the image.
// x [n, h, w, c], weights [kh, kw, inner, o], bias [o], y [n, oh, ow, o]: a group has `inner` channels of x and `outer`
// of y. An invocation owns one of `count` outputs.
override count: u32;
//: use grouped
//: use activation
override biased: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let e = id.x + id.y * groups.x * 64u;
    if e >= count {
        return;
    }
    let channel = e % o;
    let place = e / o;
    let image = place / (oh * ow);
    let first = channel / outer * inner;
    var sum = select(0.0, bias[channel], biased == 1u);
    for (var i = 0u; i < kh; i += 1u) {
        // Rows and columns before the image wrap round and are beyond it too.
        let row = place / ow % oh * sh + i * dilation_h - pt;
        for (var j = 0u; j < kw; j += 1u) {
            let column = place % ow * sw + j * dilation_w - pl;
            if row < h && column < w {
                let pixel = ((image * h + row) * w + column) * c + first;
                let tap = (i * kw + j) * inner * o + channel;
                for (var k = 0u; k < inner; k += 1u) {
                    sum += x[pixel + k] * weights[tap + k * o];
                }
            }
        }
    }
    y[e] = activated(vec4f(sum)).x;
}
