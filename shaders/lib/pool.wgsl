// The windows of a pool over x [n, h, w, c]: an invocation owns one of `count` results, o, of y [n, oh, ow, c]. The file that
// uses this declares
//   result(o, corner, taps): stores it; its window's first number is element `corner` of x, a row below it is w·c elements on.
//   Rows taps.x to taps.y and columns taps.z to taps.w of the window are inside the image.
override count: u32;
//: use window

// The taps, of k from `start` on, that are inside a size after `pad` zeros.
fn taps_inside(start: u32, k: u32, pad: u32, size: u32) -> vec2u {
    return vec2u(max(start, pad) - start, min(start + k, pad + size) - start);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let o = id.x + id.y * groups.x * 64u;
    if o >= count {
        return;
    }
    let channel = o % c;
    let column = o / c % ow * sw;
    let row = o / (c * ow) % oh * sh;
    let n = o / (c * ow * oh);
    let taps = vec4u(taps_inside(row, kh, pt, h), taps_inside(column, kw, pl, w));
    // A corner in the padding wraps around, and its taps inside the image come back.
    result(o, ((n * h + row - pt) * w + column - pl) * c + channel, taps);
}
