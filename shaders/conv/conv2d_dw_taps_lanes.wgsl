// partials[s, (i, j, c), o] = Σ x[n, oh·sh + i - pt, ow·sw + j - pl, c] · dy[n, oh, ow, o] over the s-th part of
// the places; the row behind the last tap has x = 1: the gradient of the bias. c and o are multiples of four.
// x [n, h, w, c], dy [n, oh, ow, o], partials [splits, $(KH)·$(KW)·c + 1, o].
// For subgroups of $(L): a workgroup owns every tap, $(E) vectors of four output channels and a vector of four input
// channels a lane. Lane l brings the gradient of place l; the pixels of a place's window are read once for all of them.
//: use window
override splits: u32;
override per_split: u32;
override texels: u32;
override first: u32;
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>;

fn pixel(i: u32) -> vec4f {
    return textureLoad(x, vec2u((first + i) % texels, (first + i) / texels));
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
    let end = min((split + 1u) * per_split, n * oh * ow);
    for (var begin = split * per_split; begin < end; begin += $(L)u) {
        let place = min(begin + lane, end - 1u);
        //: for e in 0..E
        let d_$(e) = select(vec4f(0.0), dy[place * columns + column_$(e)], begin + lane < end);
        total_$(e) += d_$(e);
        //: end
        // Rows and columns before the image wrap round and are beyond it too.
        let top = place / ow % oh * sh - pt;
        let left = place % ow * sw - pl;
        let at = ((place / (ow * oh) * h + top) * w + left) * (c / 4u);
        for (var pair = 0u; pair < $(L)u; pair += 2u) {
            //: for z in 0..2
            let at_$(z) = subgroupShuffle(at, pair + $(z)u) + channel;
            //: for padded in 0..PADDED
            let top_$(z) = subgroupShuffle(top, pair + $(z)u);
            let left_$(z) = subgroupShuffle(left, pair + $(z)u);
            //: end
            //: for i in 0..KH
            //: for j in 0..KW
            //: for whole in PADDED..1
            let x_$(z)_$(i*KW+j) = pixel(at_$(z) + ($(i)u * w + $(j)u) * (c / 4u));
            //: end
            //: for padded in 0..PADDED
            let inside_$(z)_$(i*KW+j) = (top_$(z) + $(i)u < h) & (left_$(z) + $(j)u < w);
            let near_$(z)_$(i*KW+j) = pixel(select(0u, at_$(z) + ($(i)u * w + $(j)u) * (c / 4u), inside_$(z)_$(i*KW+j)));
            let x_$(z)_$(i*KW+j) = select(vec4f(0.0), near_$(z)_$(i*KW+j), inside_$(z)_$(i*KW+j));
            //: end
            //: end
            //: end
            //: end
            //: for e in 0..4*E
            {
                let even = subgroupShuffle(d_$(e/4)[$(e%4)], pair);
                let odd = subgroupShuffle(d_$(e/4)[$(e%4)], pair + 1u);
                //: for tap in 0..KH*KW
                sum_$(e)_$(tap) += even * x_0_$(tap) + odd * x_1_$(tap);
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
        partials[(base + $(tap)u * c + row * 4u + $(k)u) * columns + column + $(e)u] =
            vec4f(sum_$(4*e)_$(tap)[$(k)], sum_$(4*e+1)_$(tap)[$(k)], sum_$(4*e+2)_$(tap)[$(k)], sum_$(4*e+3)_$(tap)[$(k)]);
        //: end
        //: end
    }
    let bias_$(e) = vec4f(subgroupAdd(total_$(e)[0]), subgroupAdd(total_$(e)[1]), subgroupAdd(total_$(e)[2]), subgroupAdd(total_$(e)[3]));
    if (row == 0u) & (column + $(e)u < columns) {
        partials[(base + $(KH * KW)u * c) * columns + column + $(e)u] = bias_$(e);
    }
    //: end
}
