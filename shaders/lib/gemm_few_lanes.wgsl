// y = A·B for few terms, and the sums of A's rows, for subgroups of $(L): a workgroup owns $(R) rows and $(V) vectors of
// four columns a lane. Lane l reads A for row l, a term at a time and $(U) a turn, and hands them round; the workgroups of
// the first columns keep the sums. b [batch, k, n], y [batch, m, n]; n is a multiple of four. The file that uses it
// declares
//   a_at(row, t) -> f32; store(row, column, sum); store_total(row, total).
override m: u32;
override n: u32;
override k: u32;

//: use items_lanes
fn rows() -> u32 { return m; }
fn columns() -> u32 { return n / 4u; }

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    //: use lanes_tile
    item = select(0u, part, batch > 1u);
    //: for q in 0..(R+L-1)/L
    let row_$(q) = min(row0 + $(q * L)u + lane, m - 1u);
    var total_$(q) = 0.0;
    //: end
    let whole = k / $(U)u * $(U)u;
    for (var t = 0u; t < whole; t += $(U)u) {
        //: for u in 0..U
        //: for q in 0..(R+L-1)/L
        let a_$(q)_$(u) = a_at(row_$(q), t + $(u)u);
        total_$(q) += a_$(q)_$(u);
        //: end
        //: for v in 0..V
        let b_$(v)_$(u) = b[(item * k + t + $(u)u) * columns() + column_$(v)];
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
        //: for q in 0..(R+L-1)/L
        let a_$(q) = a_at(row_$(q), t);
        total_$(q) += a_$(q);
        //: end
        //: for v in 0..V
        let b_$(v) = b[(item * k + t) * columns() + column_$(v)];
        //: end
        //: for r in 0..R
        let s_$(r) = subgroupBroadcast(a_$(r/L), $(r%L)u);
        //: for v in 0..V
        sum_$(r)_$(v) += s_$(r) * b_$(v);
        //: end
        //: end
    }
    //: for v in 0..V
    if column0 + $(v * L)u < columns() {
        //: for r in 0..R
        if row0 + $(r)u < m {
            store(row0 + $(r)u, column_$(v), sum_$(r)_$(v));
        }
        //: end
    }
    //: end
    if column0 < $(L)u {
        //: for q in 0..(R+L-1)/L
        if (lane + $(q * L)u < $(R)u) & (row0 + $(q * L)u + lane < m) {
            store_total(row_$(q), total_$(q));
        }
        //: end
    }
}
