// y[i, j] = Σ_t a[i, t] · b[j, t], then what lib/epilogue makes of it; k is a multiple of four.
// a [batch, m, k], b [batch, n, k], bias [n], mask and y [batch, m, n].
// For subgroups of $(L): a workgroup owns $(R) × $(C) outputs; its lanes share out the terms, four to a vector,
// and add up at the end.
override m: u32;
override n: u32;
override k: u32;
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
const splits = 1u;

fn rows() -> u32 { return m; }
fn columns() -> u32 { return n; }

//: use items_lanes
//: use store_rows
//: use epilogue

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let across = (n + $(C - 1)u) / $(C)u;
    let down = (m + $(R - 1)u) / $(R)u;
    let i0 = group / across % down * $(R)u;
    let j0 = group % across * $(C)u;
    let part = group / (across * down);
    if part >= parts() {
        return;
    }
    item = select(0u, part, batch > 1u);
    let vectors = k / 4u;
    //: for r in 0..R
    let row_$(r) = (item * m + min(i0 + $(r)u, m - 1u)) * vectors;
    //: for c in 0..C
    var sum_$(r)_$(c) = vec4f(0.0);
    //: end
    //: end
    //: for c in 0..C
    let column_$(c) = (item * n + min(j0 + $(c)u, n - 1u)) * vectors;
    //: end
    let whole = vectors / $(L * U)u * $(L * U)u;
    for (var t = lane; t < whole; t += $(L * U)u) {
        //: for u in 0..U
        //: for c in 0..C
        let b_$(c)_$(u) = b[column_$(c) + t + $(u * L)u];
        //: end
        //: end
        //: for r in 0..R
        //: for u in 0..U
        let a_$(r)_$(u) = a[row_$(r) + t + $(u * L)u];
        //: end
        //: end
        //: for r in 0..R
        //: for c in 0..C
        sum_$(r)_$(c) += a_$(r)_0 * b_$(c)_0
            //: for u in 1..U
            + a_$(r)_$(u) * b_$(c)_$(u)
            //: end
            ;
        //: end
        //: end
    }
    for (var first = whole; first < vectors; first += $(L)u) {
        let inside = first + lane < vectors;
        let t = min(first + lane, vectors - 1u);
        //: for c in 0..C
        let b_$(c) = select(vec4f(0.0), b[column_$(c) + t], inside);
        //: end
        //: for r in 0..R
        let a_$(r) = select(vec4f(0.0), a[row_$(r) + t], inside);
        //: for c in 0..C
        sum_$(r)_$(c) += a_$(r) * b_$(c);
        //: end
        //: end
    }
    // Result q of the tile goes to lane q mod $(L), which stores it.
    //: for s in 0..(R*C+L-1)/L
    var mine_$(s) = 0.0;
    //: end
    //: for r in 0..R
    //: for c in 0..C
    let total_$(r)_$(c) = subgroupAdd(dot(sum_$(r)_$(c), vec4f(1.0)));
    mine_$((r*C+c)/L) = select(mine_$((r*C+c)/L), total_$(r)_$(c), lane == $((r*C+c)%L)u);
    //: end
    //: end
    //: for s in 0..(R*C+L-1)/L
    if lane + $(s * L)u < $(R * C)u {
        store(i0 + (lane + $(s * L)u) / $(C)u, j0 + (lane + $(s * L)u) % $(C)u, mine_$(s), 0u);
    }
    //: end
}
