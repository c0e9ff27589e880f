// dx[n, h, w, c] = Σ dy[n, oh, ow, c] / (kh·kw) over the windows that hold (h, w).
// dy [N, OH, OW, C], dx [N, H, W, C]; an invocation owns one element of dx and gathers.
//: use pool_dx
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

fn part(o: u32, tap: u32) -> f32 {
    return dy[o];
}

fn finished(sum: f32) -> f32 {
    return sum / f32(kh * kw);
}
