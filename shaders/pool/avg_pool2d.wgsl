// y[n, oh, ow, c] = Σ over (i, j) of x[n, oh·sh + i, ow·sw + j, c] / (kh·kw).
// x [N, H, W, C], y [N, OH, OW, C]; an invocation owns one output, and sums line by line.
//: use pool
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn result(o: u32, corner: u32) {
    var sum = 0.0;
    for (var i = 0u; i < kh; i += 1u) {
        var line = 0.0;
        for (var j = 0u; j < kw; j += 1u) {
            line += x[corner + (i * w + j) * c];
        }
        sum += line;
    }
    y[o] = sum / f32(kh * kw);
}
