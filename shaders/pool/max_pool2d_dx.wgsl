// dx[n, h, w, c] = Σ dy[n, oh, ow, c] over the windows that hold (h, w) and whose argmax it is.
// dy and argmax [N, OH, OW, C], dx [N, H, W, C]; an invocation owns one element of dx and gathers.
//: use pool_dx
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> argmax: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

fn part(o: u32, tap: u32) -> f32 {
    return select(0.0, dy[o], argmax[o] == tap);
}

fn finished(sum: f32) -> f32 {
    return sum;
}
