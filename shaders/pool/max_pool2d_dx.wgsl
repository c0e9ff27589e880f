// dx[n, h, w, c] = Σ dy[n, oh, ow, c] over the windows that hold (h, w) and whose argmax it is.
// dy and argmax [N, OH, OW, C], dx [N, H, W, C]; an invocation owns one element of dx and gathers.
override count: u32;
//: use window
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> argmax: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    let channel = i % c;
    let column = i / c % w;
    let row = i / (c * w) % h;
    let n = i / (c * w * h);
    // The windows that hold a row r begin at r - k + 1 at the earliest and at r at the latest.
    let first_row = select((row + sh - kh) / sh, 0u, row < kh);
    let first_column = select((column + sw - kw) / sw, 0u, column < kw);
    var sum = 0.0;
    for (var a = first_row; a <= min(row / sh, oh - 1u); a += 1u) {
        for (var b = first_column; b <= min(column / sw, ow - 1u); b += 1u) {
            let o = ((n * oh + a) * ow + b) * c + channel;
            if argmax[o] == (row - a * sh) * kw + column - b * sw {
                sum += dy[o];
            }
        }
    }
    dx[i] = sum;
}
