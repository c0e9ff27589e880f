// The gradient of the input of a convolution in groups of channels: an invocation owns one of `count` results V of dx
// [n, h, w, vectors()], of one channel or of four, and gathers. The file that uses this declares dx, V, and
//   vectors(): of a pixel; meets(vector) -> vec2u: where the outputs of its group begin in a place of dy, and in a tap's weights;
//   add(sum, place, tap, meets) -> V: the sum, and what the place and the tap add to it.
override count: u32;
//: use grouped

// The output row (or column) whose tap, `offset` rows from its window's first, reads the input row `at`, counted from the first
// row of zeros; beyond every row if there is none.
fn reader(at: u32, offset: u32, stride: u32) -> u32 {
    let place = (at - offset) / stride;
    return select(place, 0xffffffffu, offset > at || place * stride + offset != at);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let e = id.x + id.y * groups.x * 64u;
    if e >= count {
        return;
    }
    let own = meets(e % vectors());
    let column = e / vectors() % w + pl;
    let row = e / (vectors() * w) % h + pt;
    let image = e / (vectors() * w * h);
    var sum = V();
    for (var i = 0u; i < kh; i += 1u) {
        let a = reader(row, i * dilation_h, sh);
        if a >= oh {
            continue;
        }
        for (var j = 0u; j < kw; j += 1u) {
            let b = reader(column, j * dilation_w, sw);
            if b >= ow {
                continue;
            }
            sum = add(sum, (image * oh + a) * ow + b, i * kw + j, own);
        }
    }
    dx[e] = sum;
}
