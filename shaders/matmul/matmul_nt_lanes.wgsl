// y[i, j] = Σ_t a[i, t] · b[j, t] + bias[j], and max(·, 0) of it where relu = 1; k and n are multiples of four.
// a [m, k], b [n, k], bias [n], y [m, n].
// For subgroups of $(L): a workgroup owns $(R) rows and $(V) vectors of four columns a lane. Lane l reads a for row l, four
// terms at a time, and hands them round.
override m: u32;
override n: u32;
override k: u32;
override relu: u32;
// b begins at this texel.
override first: u32;
override texels: u32;
override biased: u32;
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var b: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

fn b_at(i: u32) -> vec4f {
    return textureLoad(b, vec2u((first + i) % texels, (first + i) / texels));
}

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let columns = n / 4u;
    let across = (columns + $(V * L - 1)u) / $(V * L)u;
    let i0 = group / across * $(R)u;
    let j0 = group % across * $(V * L)u + lane;
    if i0 >= m {
        return;
    }
    //: for q in 0..R/L
    let row_$(q) = min(i0 + $(q * L)u + lane, m - 1u) * (k / 4u);
    //: end
    //: for v in 0..V
    let column_$(v) = min(j0 + $(v * L)u, columns - 1u);
    //: end
    //: for r in 0..R
    //: for v in 0..V
    var sum_$(r)_$(v) = vec4f(0.0);
    //: end
    //: end
    for (var t = 0u; t < k / 4u; t += 1u) {
        //: for q in 0..R/L
        let a_$(q) = a[row_$(q) + t];
        //: end
        //: for v in 0..V
        //: for e in 0..4
        let c_$(e)_$(v) = b_at((column_$(v) * 4u + $(e)u) * (k / 4u) + t);
        //: end
        //: for e in 0..4
        let b_$(e)_$(v) = vec4f(c_0_$(v)[$(e)], c_1_$(v)[$(e)], c_2_$(v)[$(e)], c_3_$(v)[$(e)]);
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
    //: for v in 0..V
    if j0 + $(v * L)u < columns {
        let bias_$(v) = select(vec4f(0.0), bias[j0 + $(v * L)u], biased == 1u);
        //: for r in 0..R
        if i0 + $(r)u < m {
            let value = sum_$(r)_$(v) + bias_$(v);
            y[(i0 + $(r)u) * columns + j0 + $(v * L)u] = select(value, max(value, vec4f(0.0)), relu == 1u);
        }
        //: end
    }
    //: end
}
