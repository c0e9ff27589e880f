// y[n, oh, ow, c] = Σ over (i, j) of x[n, oh·sh + i, ow·sw + j, c] / (kh·kw).
// x [N, H, W, C], y [N, OH, OW, C]; an invocation owns one output.
override count: u32;
//: use window
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let o = id.x + id.y * groups.x * 64u;
    if o >= count {
        return;
    }
    let channel = o % c;
    let column = o / c % ow * sw;
    let row = o / (c * ow) % oh * sh;
    let n = o / (c * ow * oh);
    let corner = ((n * h + row) * w + column) * c + channel;
    var sum = 0.0;
    for (var i = 0u; i < kh; i += 1u) {
        for (var j = 0u; j < kw; j += 1u) {
            sum += x[corner + (i * w + j) * c];
        }
    }
    y[o] = sum / f32(kh * kw);
}
