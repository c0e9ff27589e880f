// y[n, oh, ow, c] = bias[c] + Σ_{i,j} x[n, oh·sh + i·dilation_h - pt, ow·sw + j·dilation_w - pl, c] · weights[i, j, 0, c],
// and the activation of it; x is zero outside the image. Each channel is its own group.
// x [n, h, w, c], weights [kh, kw, 1, c], bias [c], y [n, oh, ow, c], c a multiple of four; an invocation owns a vector of
// four channels at one place, `count` in all.
override count: u32;
//: use grouped
//: use activation
override biased: u32;
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let e = id.x + id.y * groups.x * 64u;
    if e >= count {
        return;
    }
    let vectors = c / 4u;
    let vector = e % vectors;
    let place = e / vectors;
    let image = place / (oh * ow);
    var sum = select(vec4f(0.0), bias[vector], biased == 1u);
    for (var i = 0u; i < kh; i += 1u) {
        // Rows and columns before the image wrap round and are beyond it too.
        let row = place / ow % oh * sh + i * dilation_h - pt;
        for (var j = 0u; j < kw; j += 1u) {
            let column = place % ow * sw + j * dilation_w - pl;
            if row < h && column < w {
                sum += x[((image * h + row) * w + column) * vectors + vector] * weights[(i * kw + j) * vectors + vector];
            }
        }
    }
    y[e] = activated(sum);
}
