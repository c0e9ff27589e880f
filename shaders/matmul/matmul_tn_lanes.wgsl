// y[i, j] = Σ_t a[t, i] · b[t, j] and sums[i] = Σ_t a[t, i]; m and n are multiples of four.
// a [k, m], b [k, n], y [m, n], sums [m].
// For subgroups of $(L): a workgroup owns $(R) rows and $(V) vectors of four columns a lane. Its lanes read a for all rows
// and $(4 * L / R) terms at a time, four rows a lane, and hand them round; the workgroups of the first columns keep the sums.
override m: u32;
override n: u32;
override k: u32;
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

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
    // Lane l brings rows i0 + 4·(l mod $(R / 4)) and the three behind, of term l / $(R / 4).
    let row = min(i0 / 4u + lane % $(R / 4)u, m / 4u - 1u);
    let ahead = lane / $(R / 4)u;
    //: for v in 0..V
    let column_$(v) = min(j0 + $(v * L)u, columns - 1u);
    //: end
    var total = vec4f(0.0);
    //: for r in 0..R
    //: for v in 0..V
    var sum_$(r)_$(v) = vec4f(0.0);
    //: end
    //: end
    for (var t = 0u; t < k; t += $(U)u) {
        //: for g in 0..U*R/(4*L)
        let term_$(g) = t + $(g * 4 * L / R)u + ahead;
        let a_$(g) = select(vec4f(0.0), a[min(term_$(g), k - 1u) * (m / 4u) + row], term_$(g) < k);
        total += a_$(g);
        //: end
        //: for u in 0..U
        let at_$(u) = min(t + $(u)u, k - 1u) * columns;
        //: for v in 0..V
        let b_$(v)_$(u) = b[at_$(u) + column_$(v)];
        //: end
        //: end
        //: for r in 0..R
        //: for u in 0..U
        let s_$(r)_$(u) = subgroupBroadcast(a_$(u * R / (4 * L))[$(r % 4)], $(u * R / 4 % L + r / 4)u);
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
    //: for v in 0..V
    if j0 + $(v * L)u < columns {
        //: for r in 0..R
        if i0 + $(r)u < m {
            y[(i0 + $(r)u) * columns + j0 + $(v * L)u] = sum_$(r)_$(v);
        }
        //: end
    }
    //: end
    if group % across == 0u {
        // The terms of a row lie $(R / 4) lanes apart.
        let parts = total
            //: for p in 1..4*L/R
            + subgroupShuffle(total, (lane + $(p * R / 4)u) % $(L)u)
            //: end
            ;
        if lane < $(R / 4)u && i0 + lane * 4u < m {
            //: for e in 0..4
            sums[i0 + lane * 4u + $(e)u] = parts[$(e)];
            //: end
        }
    }
}
