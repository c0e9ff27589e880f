// y[n, oh, ow, c] = max over (i, j) of x[n, oh·sh + i, ow·sw + j, c]; argmax = i·kw + j of the first largest.
// x [N, H, W, C], y and argmax [N, OH, OW, C]; an invocation owns one output.
override count: u32;
//: use window
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> argmax: array<u32>;

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
    var most = x[corner];
    var best = 0u;
    for (var i = 0u; i < kh; i += 1u) {
        for (var j = 0u; j < kw; j += 1u) {
            let value = x[corner + (i * w + j) * c];
            best = select(best, i * kw + j, value > most);
            most = max(most, value);
        }
    }
    y[o] = most;
    argmax[o] = best;
}
