// The product of lib/gemm by single numbers: an invocation owns $(TM/16) × $(TN/16) sums, 16 apart, and 16 terms at a time pass
// through workgroup memory.
var<workgroup> tile_a: array<f32, $(16 * (TM + 1))>;
var<workgroup> tile_b: array<f32, $(16 * (TN + 1))>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let at = place(id.x + id.y * groups.x);
    if item >= batch {
        return;
    }
    let tm = lane / 16u;
    let tn = lane % 16u;
    //: for i in 0..TM/16
    //: for j in 0..TN/16
    var sum_$(i)_$(j) = 0.0;
    //: end
    //: end
    //: for summed in 0..A_SUMS + B_SUMS
    var summed = 0.0;
    //: end
    for (var k0 = at.begin; k0 < at.end; k0 += 16u) {
        for (var e = lane; e < $(16 * TM)u; e += 256u) {
            let k = e / $(TM + (1 - TM) * A_TERMS)u % 16u;
            let m = e / $(1 + 15 * A_TERMS)u % $(TM)u;
            let a = a_at(at.m0 + m, k0 + k, at.end);
            tile_a[k * $(TM + 1)u + m] = a;
            //: for summed in 0..A_SUMS
            summed += a;
            //: end
        }
        for (var e = lane; e < $(16 * TN)u; e += 256u) {
            let k = e / $(TN + (1 - TN) * B_TERMS)u % 16u;
            let n = e / $(1 + 15 * B_TERMS)u % $(TN)u;
            let b = b_at(k0 + k, at.n0 + n, at.end);
            tile_b[k * $(TN + 1)u + n] = b;
            //: for summed in 0..B_SUMS
            summed += b;
            //: end
        }
        workgroupBarrier();
        for (var k = 0u; k < 16u; k += 1u) {
            //: for i in 0..TM/16
            let a_$(i) = tile_a[k * $(TM + 1)u + tm + $(16 * i)u];
            //: end
            //: for j in 0..TN/16
            let b_$(j) = tile_b[k * $(TN + 1)u + tn + $(16 * j)u];
            //: end
            //: for i in 0..TM/16
            //: for j in 0..TN/16
            sum_$(i)_$(j) += a_$(i) * b_$(j);
            //: end
            //: end
        }
        workgroupBarrier();
    }
    //: for j in 0..TN/16
    //: for i in 0..TM/16
    store(at.m0 + tm + $(16 * i)u, at.n0 + tn + $(16 * j)u, sum_$(i)_$(j), at.split);
    //: end
    //: end
    //: for sums in 0..A_SUMS + B_SUMS
    finish_sums(at, lane, summed);
    //: end
}
