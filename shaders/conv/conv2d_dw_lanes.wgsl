// partials[s, (i, j, c), o] = Σ x[n, oh·sh + i - pt, ow·sw + j - pl, c] · dy[n, oh, ow, o] over the s-th part of
// the rows of places; the row behind the last tap has x = 1: the gradient of the bias. c and o are multiples of four.
// x [n, h, w, c], dy [n, oh, ow, o], partials [splits, kh·kw·c + 1, o].
// For subgroups of $(L): a workgroup owns one tap, $(R) input channels and $(V) vectors of four output channels a lane.
// $(L) lanes bring $(4 * L / R) places' x at a time, and hand them round.
//: use window
override splits: u32;
override per_split: u32;
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let columns = o / 4u;
    let across = (columns + $(V * L - 1)u) / $(V * L)u;
    let down = (c + $(R - 1)u) / $(R)u;
    let column = group % across * $(V * L)u + lane;
    let c0 = group / across % down * $(R)u;
    let tap = group / (across * down) % (kh * kw);
    let split = group / (across * down * kh * kw);
    if split >= splits {
        return;
    }
    //: for v in 0..V
    let column_$(v) = min(column + $(v * L)u, columns - 1u);
    var total_$(v) = vec4f(0.0);
    //: end
    //: for r in 0..R
    //: for v in 0..V
    var sum_$(r)_$(v) = vec4f(0.0);
    //: end
    //: end
    // Lane l brings channels c0 + 4·(l mod $(R / 4)) and the three behind, of place l / $(R / 4).
    let channel = min(c0 / 4u + lane % $(R / 4)u, c / 4u - 1u);
    for (var strip = split * per_split; strip < min((split + 1u) * per_split, n * oh); strip += 1u) {
        let row = strip % oh * sh + tap / kw - pt;
        let image = strip / oh * h + row;
        for (var left = 0u; left < ow; left += $(P)u) {
            //: for g in 0..P*R/(4*L)
            let place_$(g) = left + $(g * 4 * L / R)u + lane / $(R / 4)u;
            let x_$(g) = place_$(g) * sw + tap % kw - pl;
            // Rows and columns before the image wrap round and are beyond it too.
            let inside_$(g) = (row < h) & (place_$(g) < ow) & (x_$(g) < w);
            let a_$(g) = select(vec4f(0.0), x[select(0u, (image * w + x_$(g)) * (c / 4u) + channel, inside_$(g))], inside_$(g));
            //: end
            //: for p in 0..P
            let live_$(p) = left + $(p)u < ow;
            let at_$(p) = select(0u, (strip * ow + left + $(p)u) * columns, live_$(p));
            //: for v in 0..V
            let b_$(p)_$(v) = select(vec4f(0.0), dy[at_$(p) + column_$(v)], live_$(p));
            //: end
            //: end
            //: for v in 0..V
            total_$(v) += b_0_$(v)
                //: for p in 1..P
                + b_$(p)_$(v)
                //: end
                ;
            //: end
            //: for r in 0..R
            //: for p in 0..P
            let s_$(r)_$(p) = subgroupBroadcast(a_$(p * R / (4 * L))[$(r % 4)], $(p * R / 4 % L + r / 4)u);
            //: end
            //: for v in 0..V
            sum_$(r)_$(v) += s_$(r)_0 * b_0_$(v)
                //: for p in 1..P
                + s_$(r)_$(p) * b_$(p)_$(v)
                //: end
                ;
            //: end
            //: end
        }
    }
    let at = split * (kh * kw * c + 1u);
    //: for v in 0..V
    if column + $(v * L)u < columns {
        //: for r in 0..R
        if c0 + $(r)u < c {
            partials[(at + tap * c + c0 + $(r)u) * columns + column_$(v)] = sum_$(r)_$(v);
        }
        //: end
        if (tap == 0u) & (c0 == 0u) {
            partials[(at + kh * kw * c) * columns + column_$(v)] = total_$(v);
        }
    }
    //: end
}
