// A convolution, ReLU and a 2 × 2 max pool in one: with z = conv2d(x, weights) + bias,
//   y[n, ph, pw, o] = max(0, max over p of z[n, 2·ph + p / 2, 2·pw + p % 2, o]);
//   argmax = the first p of the largest z, or 4 where the largest is not above 0. c and o are multiples of four.
// x [n, h, w, c], weights [kh, kw, c, o], bias [o], y and argmax [n, ph, pw, o].
// For subgroups of $(L): a workgroup owns $(R / 4) windows, of four places each, and $(V) vectors of four channels a
// lane. Lane l reads x for place l, four channels at a time, and hands them round.
//: use window
override ph: u32;
override pw: u32;
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
// The weights begin at this texel.
override first: u32;
override texels: u32;
@group(0) @binding(1) var weights: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> argmax: array<vec4u>;

fn pixel(i: u32) -> vec4f {
    return textureLoad(x, vec2u(i % texels, i / texels));
}

fn weight(i: u32) -> vec4f {
    return textureLoad(weights, vec2u((first + i) % texels, (first + i) / texels));
}

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let across = (o / 4u + $(V * L - 1)u) / $(V * L)u;
    let m0 = group / across * $(R)u;
    let column = group % across * $(V * L)u + lane;
    if m0 >= n * ph * pw * 4u {
        return;
    }
    let columns = o / 4u;
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
    let window_$(q) = row_$(q) / 4u;
    let image_$(q) = window_$(q) / (ph * pw);
    // Rows and columns before the image wrap round and are beyond it too.
    let top_$(q) = (window_$(q) / pw % ph * 2u + row_$(q) % 4u / 2u) * sh - pt;
    let left_$(q) = (window_$(q) % pw * 2u + row_$(q) % 2u) * sw - pl;
    //: end
    for (var i = 0u; i < kh; i += 1u) {
        for (var j = 0u; j < kw; j += 1u) {
            //: for q in 0..R/L
            let y_$(q) = top_$(q) + i;
            let x_$(q) = left_$(q) + j;
            let inside_$(q) = (window_$(q) < n * ph * pw) & (y_$(q) < h) & (x_$(q) < w);
            let at_$(q) = select(0u, ((image_$(q) * h + y_$(q)) * w + x_$(q)) * (c / 4u), inside_$(q));
            //: end
            let tap = (i * kw + j) * c;
            for (var t = 0u; t < c / 4u; t += 1u) {
                //: for q in 0..R/L
                let a_$(q) = select(vec4f(0.0), pixel(at_$(q) + t), inside_$(q));
                //: end
                //: for e in 0..4
                //: for v in 0..V
                let b_$(e)_$(v) = weight((tap + t * 4u + $(e)u) * columns + column_$(v));
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
        let b = bias[column + $(v * L)u];
        //: for g in 0..R/4
        if m0 / 4u + $(g)u < n * ph * pw {
            var most = sum_$(4*g)_$(v);
            var best = vec4u(0u);
            //: for p in 1..4
            best = select(best, vec4u($(p)u), sum_$(4*g+p)_$(v) > most);
            most = max(most, sum_$(4*g+p)_$(v));
            //: end
            most += b;
            let at = (m0 / 4u + $(g)u) * columns + column + $(v * L)u;
            y[at] = max(most, vec4f(0.0));
            argmax[at] = select(vec4u(4u), best, most > vec4f(0.0));
        }
        //: end
    }
    //: end
}
