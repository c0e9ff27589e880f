// y[i, j] = Σ_t a[i, t] · b[t, j]; where masked = 1, it is 0 where mask[i, j] is not above 0. For any k; n is a multiple
// of four. a [m, k], b [k, n], mask and y [m, n].
// For subgroups of $(L): a workgroup owns $(R) rows and $(V) vectors of four columns a lane. Lane l reads a for row l,
// and hands it round.
override m: u32;
override n: u32;
override k: u32;
override masked: u32;
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read> mask: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

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
    let row_$(q) = min(i0 + $(q * L)u + lane, m - 1u) * k;
    //: end
    //: for v in 0..V
    let column_$(v) = min(j0 + $(v * L)u, columns - 1u);
    //: end
    //: for r in 0..R
    //: for v in 0..V
    var sum_$(r)_$(v) = vec4f(0.0);
    //: end
    //: end
    let whole = k / $(U)u * $(U)u;
    for (var t = 0u; t < whole; t += $(U)u) {
        //: for u in 0..U
        //: for q in 0..R/L
        let a_$(q)_$(u) = a[row_$(q) + t + $(u)u];
        //: end
        //: for v in 0..V
        let b_$(v)_$(u) = b[(t + $(u)u) * columns + column_$(v)];
        //: end
        //: end
        //: for r in 0..R
        //: for u in 0..U
        let s_$(r)_$(u) = subgroupBroadcast(a_$(r/L)_$(u), $(r%L)u);
        //: end
        //: for v in 0..V
        sum_$(r)_$(v) += s_$(r)_0 * b_$(v)_0
            //: for u in 1..U
            + s_$(r)_$(u) * b_$(v)_$(u)
            //: end
            ;
        //: end
        //: end
    }
    for (var t = whole; t < k; t += 1u) {
        //: for q in 0..R/L
        let a_$(q) = a[row_$(q) + t];
        //: end
        //: for v in 0..V
        let b_$(v) = b[t * columns + column_$(v)];
        //: end
        //: for r in 0..R
        let s_$(r) = subgroupBroadcast(a_$(r/L), $(r%L)u);
        //: for v in 0..V
        sum_$(r)_$(v) += s_$(r) * b_$(v);
        //: end
        //: end
    }
    //: for v in 0..V
    if j0 + $(v * L)u < columns {
        //: for r in 0..R
        if i0 + $(r)u < m {
            let at = (i0 + $(r)u) * columns + j0 + $(v * L)u;
            let kept = vec4<bool>(masked == 0u) | (mask[at] > vec4f(0.0));
            y[at] = select(vec4f(0.0), sum_$(r)_$(v), kept);
        }
        //: end
    }
    //: end
}
