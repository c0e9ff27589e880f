// y = A·B for subgroups of $(L): a workgroup owns $(R) rows and $(V) vectors of four columns a lane. Lane l reads A for row
// l, four terms at a time, and hands them round. A matrix has one tap of terms, a convolution kh·kw.
// The file that uses it declares
//   rows(), columns(), taps(), terms(): columns in vectors of four, terms in vectors of four of one tap;
//   a_row(row): what is worked out once for a row; a_tap(a_row, tap): and once for each of its taps;
//   a_at(a_tap, t) -> vec4f: terms 4·t to 4·t + 3 of the tap; b_at(tap, t, column) -> mat4x4f: their rows of B;
//   bias_at(column) -> vec4f;
//   store_four(row, column, sums, bias): the sums of four rows, some of which may be beyond the end (see row_by_row).

//: use items_lanes

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    //: use lanes_tile
    item = select(0u, part, batch > 1u);
    //: for q in 0..R/L
    let row_$(q) = a_row(row0 + $(q * L)u + lane);
    //: end
    for (var tap = 0u; tap < taps(); tap += 1u) {
        //: for q in 0..R/L
        let tap_$(q) = a_tap(row_$(q), tap);
        //: end
        for (var t = 0u; t < terms(); t += 1u) {
            //: for q in 0..R/L
            let a_$(q) = a_at(tap_$(q), t);
            //: end
            //: for v in 0..V
            let b_$(v) = b_at(tap, t, column_$(v));
            //: end
            //: for r in 0..R
            //: for e in 0..4
            let s_$(r)_$(e) = subgroupBroadcast(a_$(r/L)[$(e)], $(r%L)u);
            //: end
            //: for v in 0..V
            sum_$(r)_$(v) += s_$(r)_0 * b_$(v)[0] + s_$(r)_1 * b_$(v)[1] + s_$(r)_2 * b_$(v)[2] + s_$(r)_3 * b_$(v)[3];
            //: end
            //: end
        }
    }
    //: for v in 0..V
    if column0 + $(v * L)u < columns() {
        let bias_$(v) = bias_at(column_$(v));
        //: for g in 0..R/4
        store_four(row0 + $(4 * g)u, column_$(v),
            mat4x4f(sum_$(4*g)_$(v), sum_$(4*g+1)_$(v), sum_$(4*g+2)_$(v), sum_$(4*g+3)_$(v)), bias_$(v));
        //: end
    }
    //: end
}
