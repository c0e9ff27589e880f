// y[n, oh, ow, c] = Σ over (i, j) of x[n, oh·sh + i, ow·sw + j, c] / (kh·kw).
// x [N, H, W, C], y [N, OH, OW, C]; an invocation owns one output.
//: use pool
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn result(o: u32, corner: u32) {
    var sum = 0.0;
    for (var i = 0u; i < kh; i += 1u) {
        for (var j = 0u; j < kw; j += 1u) {
            sum += x[corner + (i * w + j) * c];
        }
    }
    y[o] = sum / f32(kh * kw);
}
