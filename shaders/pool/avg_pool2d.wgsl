// y[n, oh, ow, c] = Σ over (i, j) of x[n, oh·sh + i - pt, ow·sw + j - pl, c] / area.
// x [N, H, W, C], y [N, OH, OW, C]; an invocation owns one output, and sums line by line.
//: use pool
//: use pool_area
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn result(o: u32, corner: u32, taps: vec4u) {
    var sum = 0.0;
    for (var i = taps.x; i < taps.y; i += 1u) {
        var line = 0.0;
        for (var j = taps.z; j < taps.w; j += 1u) {
            line += x[corner + (i * w + j) * c];
        }
        sum += line;
    }
    y[o] = sum / area(o);
}
