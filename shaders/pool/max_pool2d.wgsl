// y[n, oh, ow, c] = max over (i, j) of x[n, oh·sh + i - pt, ow·sw + j - pl, c] inside the image; argmax = i·kw + j of the first
// largest.
// x [N, H, W, C], y and argmax [N, OH, OW, C]; an invocation owns one output.
//: use pool
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> argmax: array<u32>;

fn result(o: u32, corner: u32, taps: vec4u) {
    var most = x[corner + (taps.x * w + taps.z) * c];
    var best = taps.x * kw + taps.z;
    for (var i = taps.x; i < taps.y; i += 1u) {
        for (var j = taps.z; j < taps.w; j += 1u) {
            let value = x[corner + (i * w + j) * c];
            best = select(best, i * kw + j, value > most);
            most = max(most, value);
        }
    }
    y[o] = most;
    argmax[o] = best;
}
