// y = Aᵀ·B in parts, the sums of A's columns and those of B's, for subgroups of $(L): a workgroup owns a part, $(R) rows of
// y and $(V) vectors of four columns a lane. Its lanes read $(4 * L / R) terms of A at a time, four rows a lane, and hand
// them round. A matrix has one strip of terms, a convolution one for each row of places.
// The file that uses it declares
//   parts(), rows(), columns(), terms(): columns in vectors of four, terms of one strip; rows are a multiple of four;
//   strips(part) -> vec2u: the first strip and the one after the last;
//   strip_at(strip, part): what is worked out once for a strip;
//   a_at(strip_at, t, row) -> vec4f: rows 4·row to 4·row + 3, zero beyond the terms; b_at(strip_at, t, column) -> vec4f;
//   store(part, row, column, sum), store_a_sums(row, sums of four rows) and store_b_sums(part, column, sums).

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    //: use lanes_tile
    // Lane l brings rows row0 + 4·(l mod $(R / 4)) and the three after it, of term l / $(R / 4).
    let row = min(row0 / 4u + lane % $(R / 4)u, rows() / 4u - 1u);
    var a_sums = vec4f(0.0);
    //: for v in 0..V
    var b_sums_$(v) = vec4f(0.0);
    //: end
    let range = strips(part);
    for (var strip = range[0]; strip < range[1]; strip += 1u) {
        let place = strip_at(strip, part);
        for (var t = 0u; t < terms(); t += $(U)u) {
            //: for g in 0..U*R/(4*L)
            let a_$(g) = a_at(place, t + $(g * 4 * L / R)u + lane / $(R / 4)u, row);
            a_sums += a_$(g);
            //: end
            //: for u in 0..U
            //: for v in 0..V
            let b_$(v)_$(u) = b_at(place, t + $(u)u, column_$(v));
            //: end
            //: end
            //: for v in 0..V
            b_sums_$(v) += b_$(v)_0
                //: for u in 1..U
                + b_$(v)_$(u)
                //: end
                ;
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
    }
    //: for v in 0..V
    if column0 + $(v * L)u < columns() {
        //: for r in 0..R
        if row0 + $(r)u < rows() {
            store(part, row0 + $(r)u, column_$(v), sum_$(r)_$(v));
        }
        //: end
        if row0 == 0u {
            store_b_sums(part, column_$(v), b_sums_$(v));
        }
    }
    //: end
    // The terms of a row lie $(R / 4) lanes apart.
    let a_total = a_sums
        //: for p in 1..4*L/R
        + subgroupShuffle(a_sums, (lane + $(p * R / 4)u) % $(L)u)
        //: end
        ;
    if (column0 < $(R / 4)u) & (row0 + lane * 4u < rows()) {
        store_a_sums(row0 + lane * 4u, a_total);
    }
}
