// The gradient of a pool: dx[n, h, w, c] = Σ part(o, tap) over the windows o that hold (h, w), as their tap-th place, handed
// to finished(). An invocation owns one of `count` elements and gathers. The file that uses this binds dx.
override count: u32;
//: use window

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    let channel = i % c;
    let column = i / c % w + pl;
    let row = i / (c * w) % h + pt;
    let n = i / (c * w * h);
    // Rows and columns are counted from the first of the padding. The windows that hold a row r begin at r - k + 1 at the earliest and at r at the latest; a stride beyond the
    // window leaves rows that none holds.
    let first_row = select((row + sh - kh) / sh, 0u, row < kh);
    let first_column = select((column + sw - kw) / sw, 0u, column < kw);
    var sum = 0.0;
    for (var a = first_row; a <= min(row / sh, oh - 1u); a += 1u) {
        for (var b = first_column; b <= min(column / sw, ow - 1u); b += 1u) {
            if row - a * sh < kh && column - b * sw < kw {
                sum += part(((n * oh + a) * ow + b) * c + channel, (row - a * sh) * kw + column - b * sw);
            }
        }
    }
    dx[i] = finished(sum);
}
