// The product of lib/gemm by vectors of four: $(X) invocations across, and an invocation owns $(TM * X / 256) × $(TN / X) sums.
// $(K) terms at a time pass through workgroup memory; the next ones are read into registers before the sums of those at hand.
//: let Y = 256 / X
//: let LOADS_A = (TM * K + 1023) / 1024
//: let LOADS_B = (TN * K + 1023) / 1024
//: let ROWS_A = TM / Y / (4 - 3 * A_TERMS)
//: let COLUMNS_B = TN / X / (4 - 3 * B_TERMS)
var<workgroup> tile_a: array<vec4f, $(TM * K / 4 + A_TERMS * TM)>;
var<workgroup> tile_b: array<vec4f, $(TN * K / 4 + B_TERMS * TN)>;

// The e-th vector that passes: its row and its term.
fn a_place(e: u32) -> vec2u {
    //: for terms in 0..A_TERMS
    return vec2u(e / $(K / 4)u, e % $(K / 4)u * 4u);
    //: end
    //: for rows in A_TERMS..1
    return vec2u(e % $(TM / 4)u * 4u, e / $(TM / 4)u);
    //: end
}

// Its column and its term.
fn b_place(e: u32) -> vec2u {
    //: for terms in 0..B_TERMS
    return vec2u(e / $(K / 4)u, e % $(K / 4)u * 4u);
    //: end
    //: for columns in B_TERMS..1
    return vec2u(e % $(TN / 4)u * 4u, e / $(TN / 4)u);
    //: end
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let at = place(id.x + id.y * groups.x);
    if item >= batch {
        return;
    }
    let tm = lane / $(X)u;
    let tn = lane % $(X)u;
    //: for i in 0..TM/Y
    //: for j in 0..COLUMNS_B
    //: for four in B_TERMS..1
    var sum_$(i)_$(j) = vec4f();
    //: end
    //: for one in 0..B_TERMS
    var sum_$(i)_$(j) = 0.0;
    //: end
    //: end
    //: end
    //: for summed in 0..A_SUMS + B_SUMS
    var summed = vec4f();
    //: end
    //: for l in 0..LOADS_A
    let a_from_$(l) = a_place(lane + $(256 * l)u);
    var a_next_$(l) = vec4f();
    if lane < $(TM * K / 4 - 256 * l)u {
        a_next_$(l) = a_at(at.m0 + a_from_$(l).x, at.begin + a_from_$(l).y, at.end);
    }
    //: end
    //: for l in 0..LOADS_B
    let b_from_$(l) = b_place(lane + $(256 * l)u);
    var b_next_$(l) = vec4f();
    if lane < $(TN * K / 4 - 256 * l)u {
        b_next_$(l) = b_at(at.begin + b_from_$(l).y, at.n0 + b_from_$(l).x, at.end);
    }
    //: end
    for (var k0 = at.begin; k0 < at.end; k0 += $(K)u) {
        // Rows of terms are one vector longer than they need, against conflicts of banks.
        //: for l in 0..LOADS_A
        if lane < $(TM * K / 4 - 256 * l)u {
            tile_a[lane + $(256 * l)u + $(A_TERMS)u * a_from_$(l).x] = a_next_$(l);
        }
        //: for summed in 0..A_SUMS
        summed += a_next_$(l);
        //: end
        //: end
        //: for l in 0..LOADS_B
        if lane < $(TN * K / 4 - 256 * l)u {
            tile_b[lane + $(256 * l)u + $(B_TERMS)u * b_from_$(l).x] = b_next_$(l);
        }
        //: for summed in 0..B_SUMS
        summed += b_next_$(l);
        //: end
        //: end
        workgroupBarrier();
        let next = k0 + $(K)u;
        if next < at.end {
            //: for l in 0..LOADS_A
            if lane < $(TM * K / 4 - 256 * l)u {
                a_next_$(l) = a_at(at.m0 + a_from_$(l).x, next + a_from_$(l).y, at.end);
            }
            //: end
            //: for l in 0..LOADS_B
            if lane < $(TN * K / 4 - 256 * l)u {
                b_next_$(l) = b_at(next + b_from_$(l).y, at.n0 + b_from_$(l).x, at.end);
            }
            //: end
        }
        //: for q in 0..K/4
        {
            //: for terms in 0..A_TERMS
            //: for i in 0..ROWS_A
            let a_$(i) = tile_a[(tm + $(Y * i)u) * $(K / 4 + 1)u + $(q)u];
            //: end
            //: end
            //: for terms in 0..B_TERMS
            //: for j in 0..COLUMNS_B
            let b_$(j) = tile_b[(tn + $(X * j)u) * $(K / 4 + 1)u + $(q)u];
            //: end
            //: end
            //: for t in 0..4
            {
                //: for rows in A_TERMS..1
                //: for i in 0..ROWS_A
                let a_$(i) = tile_a[$((4 * q + t) * TM / 4 + Y * i)u + tm];
                //: end
                //: end
                //: for columns in B_TERMS..1
                //: for j in 0..COLUMNS_B
                let b_$(j) = tile_b[$((4 * q + t) * TN / 4 + X * j)u + tn];
                //: end
                //: end
                //: for i in 0..TM/Y
                //: let I = A_TERMS * i + (1 - A_TERMS) * (i / 4)
                //: let C = A_TERMS * t + (1 - A_TERMS) * (i % 4)
                //: for j in 0..COLUMNS_B
                //: for four in B_TERMS..1
                sum_$(i)_$(j) += a_$(I)[$(C)] * b_$(j);
                //: end
                //: for one in 0..B_TERMS
                sum_$(i)_$(j) += a_$(I)[$(C)] * b_$(j)[$(t)];
                //: end
                //: end
                //: end
            }
            //: end
        }
        //: end
        workgroupBarrier();
    }
    //: for j in 0..COLUMNS_B
    //: for c in 0..4 - 3 * B_TERMS
    //: for i in 0..TM/Y
    //: let ROW = Y * (A_TERMS * i + (1 - A_TERMS) * (i / 4 * 4)) + (1 - A_TERMS) * (i % 4)
    //: for four in B_TERMS..1
    store(at.m0 + tm * $(4 - 3 * A_TERMS)u + $(ROW)u, at.n0 + tn * 4u + $(X * j * 4 + c)u, sum_$(i)_$(j)[$(c)], at.split);
    //: end
    //: for one in 0..B_TERMS
    store(at.m0 + tm * $(4 - 3 * A_TERMS)u + $(ROW)u, at.n0 + tn + $(X * j)u, sum_$(i)_$(j), at.split);
    //: end
    //: end
    //: end
    //: end
    //: for sums in 0..A_SUMS + B_SUMS
    finish_sums(at, lane, summed);
    //: end
}
