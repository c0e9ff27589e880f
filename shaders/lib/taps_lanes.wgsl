// partials[s, (i, j, c), o] = Σ x[image, top + i, left + j, c] · d[place, o] over the s-th part of the places; the row after
// the last tap has x = 1: the gradient of the bias. x [n, h, w, c] is a texture from texel `first` on; c and o are multiples
// of four. d may belong to any of the windows that begin at (top, left), $(DH) rows lower or $(DW) columns to the right.
// For subgroups of $(L): a workgroup owns every tap, $(E) vectors of four output channels and a vector of four input
// channels a lane. Lane l brings the gradient of place l; the pixels of a place's window are read once for all of them.
// The file that uses it declares
//   places(); corner(place) -> vec3u: image, top and left; given(place, column) -> Given;
//   padded: whether pixels may be beyond the image, where they are zero.

//: use window
//: use texel

override splits: u32;
override per_split: u32;
override first: u32;

// The gradient d of a place, four channels, and the window it belongs to: 0, 1 to the right, 2 lower, 3 both.
struct Given { d: vec4f, window: vec4u }

fn pixel(at: u32, top: u32, left: u32, i: u32, j: u32) -> vec4f {
    let near = at + (i * w + j) * (c / 4u);
    let inside = (padded == 0u) | ((top + i < h) & (left + j < w));
    return select(vec4f(0.0), textureLoad(x, texel(first + select(0u, near, inside))), inside);
}

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let columns = o / 4u;
    let across = (columns + $(E - 1)u) / $(E)u;
    let down = (c / 4u + $(L - 1)u) / $(L)u;
    let column = group % across * $(E)u;
    let row = group / across % down * $(L)u + lane;
    let split = group / (across * down);
    if split >= splits {
        return;
    }
    let channel = min(row, c / 4u - 1u);
    //: for e in 0..E
    let column_$(e) = min(column + $(e)u, columns - 1u);
    var total_$(e) = vec4f(0.0);
    //: end
    //: for e in 0..4*E
    //: for tap in 0..KH*KW
    var sum_$(e)_$(tap) = vec4f(0.0);
    //: end
    //: end
    let end = min((split + 1u) * per_split, places());
    for (var begin = split * per_split; begin < end; begin += $(L)u) {
        let place = min(begin + lane, end - 1u);
        //: for e in 0..E
        let given_$(e) = given(place, column_$(e));
        let mine_$(e) = select(vec4f(0.0), given_$(e).d, begin + lane < end);
        total_$(e) += mine_$(e);
        //: end
        // Rows and columns before the image wrap round and are beyond it too.
        let start = corner(place);
        let at = ((start[0] * h + start[1]) * w + start[2]) * (c / 4u);
        for (var pair = 0u; pair < $(L)u; pair += 2u) {
            //: for z in 0..2
            let at_$(z) = subgroupShuffle(at, pair + $(z)u) + channel;
            let top_$(z) = subgroupShuffle(start[1], pair + $(z)u);
            let left_$(z) = subgroupShuffle(start[2], pair + $(z)u);
            //: for i in 0..KH+DH
            //: for j in 0..KW+DW
            let x_$(z)_$(i)_$(j) = pixel(at_$(z), top_$(z), left_$(z), $(i)u, $(j)u);
            //: end
            //: end
            //: end
            //: for e in 0..4*E
            {
                //: for z in 0..2
                let d_$(z) = subgroupShuffle(mine_$(e/4)[$(e%4)], pair + $(z)u);
                let window_$(z) = subgroupShuffle(given_$(e/4).window[$(e%4)], pair + $(z)u);
                let lower_$(z) = window_$(z) >= 2u;
                let right_$(z) = window_$(z) % 2u == 1u;
                //: for i in 0..KH
                //: for j in 0..KW+DW
                let row_$(z)_$(i)_$(j) = select(x_$(z)_$(i)_$(j), x_$(z)_$(i+DH)_$(j), lower_$(z));
                //: end
                //: end
                //: end
                //: for i in 0..KH
                //: for j in 0..KW
                sum_$(e)_$(i*KW+j) += d_0 * select(row_0_$(i)_$(j), row_0_$(i)_$(j+DW), right_0)
                    + d_1 * select(row_1_$(i)_$(j), row_1_$(i)_$(j+DW), right_1);
                //: end
                //: end
            }
            //: end
        }
    }
    let base = split * ($(KH * KW)u * c + 1u);
    //: for e in 0..E
    if (row < c / 4u) & (column + $(e)u < columns) {
        //: for tap in 0..KH*KW
        //: for k in 0..4
        partials[(base + $(tap)u * c + row * 4u + $(k)u) * columns + column_$(e)] =
            vec4f(sum_$(4*e)_$(tap)[$(k)], sum_$(4*e+1)_$(tap)[$(k)], sum_$(4*e+2)_$(tap)[$(k)], sum_$(4*e+3)_$(tap)[$(k)]);
        //: end
        //: end
    }
    let bias_$(e) = vec4f(subgroupAdd(total_$(e)[0]), subgroupAdd(total_$(e)[1]),
        subgroupAdd(total_$(e)[2]), subgroupAdd(total_$(e)[3]));
    if (row == 0u) & (column + $(e)u < columns) {
        partials[(base + $(KH * KW)u * c) * columns + column_$(e)] = bias_$(e);
    }
    //: end
}
