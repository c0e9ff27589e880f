// dx[n, h, w, c] = Σ dy[n, oh, ow, c] / area over the windows that hold (h, w).
// dy [N, OH, OW, C], dx [N, H, W, C]; an invocation owns one element of dx and gathers. Where no window is cut (`edges` = 0), all
// areas are kh·kw.
override edges: u32;
//: use pool_dx
//: use pool_area
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

fn part(o: u32, tap: u32) -> f32 {
    if edges == 0u {
        return dy[o];
    }
    return dy[o] / area(o);
}

fn finished(sum: f32) -> f32 {
    return select(sum / f32(kh * kw), sum, edges != 0u);
}
