// The windows of a pool over x [n, h, w, c]: an invocation owns one of `count` results, o, of y [n, oh, ow, c]. The file that
// uses this declares
//   result(o, corner): stores it; its window's first number is element `corner` of x, a row below it is w·c elements on.
override count: u32;
//: use window

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
    result(o, ((n * h + row) * w + column) * c + channel);
}
