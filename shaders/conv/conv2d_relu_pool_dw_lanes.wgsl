// partials[s, (i, j, c), o] = Σ x[n, (2·ph + p / 2)·$(SH) + i, (2·pw + p % 2)·$(SW) + j, c] · dp[n, ph, pw, o] with
// p = argmax[n, ph, pw, o], over the s-th part of the windows with p < 4; the row behind the last tap has x = 1: the
// gradient of the bias. Only a window's largest place hands a gradient back, so one term serves for four.
// x [n, h, w, c], dp and argmax [n, ph, pw, o], partials [splits, $(KH)·$(KW)·c + 1, o]; c and o are multiples of four.
// For subgroups of $(L): a workgroup owns every tap, four output channels and a vector of four input channels a lane.
// Lane l brings the gradient of window l; the patch of pixels behind a window is read once for the four channels.
//: use window
override ph: u32;
override pw: u32;
override splits: u32;
override per_split: u32;
override texels: u32;
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var<storage, read> dp: array<vec4f>;
@group(0) @binding(2) var<storage, read> argmax: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;

fn pixel(i: u32) -> vec4f {
    return textureLoad(x, vec2u(i % texels, i / texels));
}

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let down = (c / 4u + $(L - 1)u) / $(L)u;
    let column = group % (o / 4u);
    let row = group / (o / 4u) % down * $(L)u + lane;
    let split = group / (o / 4u * down);
    if split >= splits {
        return;
    }
    let channel = min(row, c / 4u - 1u);
    var total = vec4f(0.0);
    //: for e in 0..4
    //: for tap in 0..KH*KW
    var sum_$(e)_$(tap) = vec4f(0.0);
    //: end
    //: end
    let end = min((split + 1u) * per_split, n * ph * pw);
    for (var first = split * per_split; first < end; first += $(L)u) {
        let window = min(first + lane, end - 1u);
        let best = argmax[window * (o / 4u) + column];
        let given = dp[window * (o / 4u) + column];
        let d = select(vec4f(0.0), given, (best < vec4u(4u)) & vec4<bool>(first + lane < end));
        total += d;
        let at = ((window / (ph * pw) * h + window / pw % ph * $(2*SH)u) * w + window % pw * $(2*SW)u) * (c / 4u);
        for (var pair = 0u; pair < $(L)u; pair += 2u) {
            //: for z in 0..2
            let at_$(z) = subgroupShuffle(at, pair + $(z)u) + channel;
            //: for i in 0..KH+SH
            //: for j in 0..KW+SW
            let x_$(z)_$(i)_$(j) = pixel(at_$(z) + ($(i)u * w + $(j)u) * (c / 4u));
            //: end
            //: end
            //: end
            //: for e in 0..4
            {
                //: for z in 0..2
                let d_$(z) = subgroupShuffle(d[$(e)], pair + $(z)u);
                let best_$(z) = subgroupShuffle(best[$(e)], pair + $(z)u);
                let down_$(z) = best_$(z) >= 2u;
                let right_$(z) = best_$(z) % 2u == 1u;
                //: for i in 0..KH
                //: for j in 0..KW+SW
                let row_$(z)_$(i)_$(j) = select(x_$(z)_$(i)_$(j), x_$(z)_$(i+SH)_$(j), down_$(z));
                //: end
                //: end
                //: end
                //: for i in 0..KH
                //: for j in 0..KW
                sum_$(e)_$(i*KW+j) += d_0 * select(row_0_$(i)_$(j), row_0_$(i)_$(j+SW), right_0)
                    + d_1 * select(row_1_$(i)_$(j), row_1_$(i)_$(j+SW), right_1);
                //: end
                //: end
            }
            //: end
        }
    }
    if row < c / 4u {
        let at = split * ($(KH * KW)u * c + 1u);
        //: for tap in 0..KH*KW
        //: for k in 0..4
        partials[(at + $(tap)u * c + row * 4u + $(k)u) * (o / 4u) + column] =
            vec4f(sum_0_$(tap)[$(k)], sum_1_$(tap)[$(k)], sum_2_$(tap)[$(k)], sum_3_$(tap)[$(k)]);
        //: end
        //: end
    }
    let sums = vec4f(subgroupAdd(total[0]), subgroupAdd(total[1]), subgroupAdd(total[2]), subgroupAdd(total[3]));
    if row == 0u {
        partials[(split * ($(KH * KW)u * c + 1u) + $(KH * KW)u * c) * (o / 4u) + column] = sums;
    }
}
