// y[n, oh, ow, c] = max over (i, j) of x[n, oh·sh + i, ow·sw + j, c]; argmax = i·kw + j of the first largest.
// x [N, H, W, C], y and argmax [N, OH, OW, C]; an invocation owns one output.
//: use pool
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> argmax: array<u32>;

fn result(o: u32, corner: u32) {
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
