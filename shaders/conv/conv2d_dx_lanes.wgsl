// dx[n, r, s, c] = Σ_{i,j,o} dy[n, (r + pt - i) / sh, (s + pl - j) / sw, o] · weights[i, j, c, o], over the taps for
// which both quotients are whole and inside dy; where masked = 1, it is 0 where mask is not above 0.
// dy [n, oh, ow, o], weights [kh, kw, c, o], mask and dx [n, h, w, c]; c and o are multiples of four.
// For subgroups of $(L): a workgroup owns $(R) pixels and $(V) vectors of four channels a lane. Lane l reads dy for
// pixel l, four channels at a time, and hands them round.
//: use window
override masked: u32;
// The weights begin at this texel.
override first: u32;
override texels: u32;
@group(0) @binding(0) var dy: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var weights: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

fn given(i: u32) -> vec4f {
    return textureLoad(dy, vec2u(i % texels, i / texels));
}

fn weight(i: u32) -> vec4f {
    return textureLoad(weights, vec2u((first + i) % texels, (first + i) / texels));
}

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let across = (c / 4u + $(V * L - 1)u) / $(V * L)u;
    let m0 = group / across * $(R)u;
    let column = group % across * $(V * L)u + lane;
    if m0 >= n * h * w {
        return;
    }
    let columns = c / 4u;
    //: for v in 0..V
    let column_$(v) = min(column + $(v * L)u, columns - 1u);
    //: end
    //: for r in 0..R
    //: for v in 0..V
    var sum_$(r)_$(v) = vec4f(0.0);
    //: end
    //: end
    //: for q in 0..R/L
    let row_$(q) = m0 + $(q * L)u + lane;
    let image_$(q) = row_$(q) / (h * w);
    let top_$(q) = row_$(q) / w % h + pt;
    let left_$(q) = row_$(q) % w + pl;
    //: end
    for (var i = 0u; i < kh; i += 1u) {
        for (var j = 0u; j < kw; j += 1u) {
            //: for q in 0..R/L
            // Before the image both wrap round; what they give then is beyond it too.
            let y_$(q) = (top_$(q) - i) / sh;
            let x_$(q) = (left_$(q) - j) / sw;
            let whole_$(q) = ((top_$(q) - i) % sh == 0u) & ((left_$(q) - j) % sw == 0u);
            let inside_$(q) = (row_$(q) < n * h * w) & whole_$(q) & (y_$(q) < oh) & (x_$(q) < ow);
            let at_$(q) = select(0u, ((image_$(q) * oh + y_$(q)) * ow + x_$(q)) * (o / 4u), inside_$(q));
            //: end
            let tap = (i * kw + j) * c;
            for (var t = 0u; t < o / 4u; t += 1u) {
                //: for q in 0..R/L
                let a_$(q) = select(vec4f(0.0), given(at_$(q) + t), inside_$(q));
                //: end
                //: for v in 0..V
                //: for e in 0..4
                let w_$(e)_$(v) = weight((tap + column_$(v) * 4u + $(e)u) * (o / 4u) + t);
                //: end
                //: for e in 0..4
                let b_$(e)_$(v) = vec4f(w_0_$(v)[$(e)], w_1_$(v)[$(e)], w_2_$(v)[$(e)], w_3_$(v)[$(e)]);
                //: end
                //: end
                //: for r in 0..R
                //: for e in 0..4
                let s_$(r)_$(e) = subgroupBroadcast(a_$(r/L)[$(e)], $(r%L)u);
                //: end
                //: for v in 0..V
                sum_$(r)_$(v) += s_$(r)_0 * b_0_$(v) + s_$(r)_1 * b_1_$(v) + s_$(r)_2 * b_2_$(v) + s_$(r)_3 * b_3_$(v);
                //: end
                //: end
            }
        }
    }
    //: for v in 0..V
    if column + $(v * L)u < columns {
        //: for r in 0..R
        if m0 + $(r)u < n * h * w {
            let at = (m0 + $(r)u) * columns + column + $(v * L)u;
            let kept = vec4<bool>(masked == 0u) | (mask[at] > vec4f(0.0));
            dx[at] = select(vec4f(0.0), sum_$(r)_$(v), kept);
        }
        //: end
    }
    //: end
}
