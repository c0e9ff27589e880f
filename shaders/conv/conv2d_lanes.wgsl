// y[n, oh, ow, o] = Σ_{i,j,c} x[n, oh·sh + i - pt, ow·sw + j - pl, c] · weights[i, j, c, o] + bias[o],
// and max(·, 0) of it where relu = 1; x is zero outside the image; c and o are multiples of four.
// x [n, h, w, c], weights [kh, kw, c, o], bias [o], y [n, oh, ow, o].
// For subgroups of $(L): a workgroup owns $(R) output places and $(V) vectors of four channels a lane. Lane l reads x for
// place l, four channels at a time, and hands them round.
//: use window
override relu: u32;
// The weights begin at this texel.
override first: u32;
override texels: u32;
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var weights: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

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
    if m0 >= n * oh * ow {
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
    let image_$(q) = row_$(q) / (oh * ow);
    // Rows and columns before the image wrap round and are beyond it too.
    let top_$(q) = row_$(q) / ow % oh * sh - pt;
    let left_$(q) = row_$(q) % ow * sw - pl;
    //: end
    for (var i = 0u; i < kh; i += 1u) {
        for (var j = 0u; j < kw; j += 1u) {
            //: for q in 0..R/L
            let y_$(q) = top_$(q) + i;
            let x_$(q) = left_$(q) + j;
            let inside_$(q) = (row_$(q) < n * oh * ow) & (y_$(q) < h) & (x_$(q) < w);
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
        //: for r in 0..R
        if m0 + $(r)u < n * oh * ow {
            let z = sum_$(r)_$(v) + b;
            y[(m0 + $(r)u) * columns + column + $(v * L)u] = select(z, max(z, vec4f(0.0)), relu == 1u);
        }
        //: end
    }
    //: end
}
