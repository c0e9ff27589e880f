// dgx[b, p] = the gradients of the step s at place p, given dh[j] = dy[b, p, j] + Σ_q w[q, j]·(the gradients of the sums q of
// step s + 1): see lib/recurrence_dx. From number time[0] down, of $(G) gates; states are whole vectors of four.
// w [G·units, units], a texture from texel `first` on. For subgroups of $(L): a workgroup owns $(R) rows and blocks of a vector a
// lane. Lane l reads the gradients of row l, four terms at a time, and hands them round.
alias Units = vec4f;
@group(0) @binding(0) var w: texture_storage_2d<rgba32float, read>;
//: use recurrence_dx
//: use texel
override first: u32;

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    //: use recurrence_group
    for (var i = 0u; i < span; i += 1u) {
        let n = begin - i;
        // Nothing comes from after the last step.
        let terms = select(0u, $(G)u * units, n < steps);
        //: for q in 0..(R+L-1)/L
        let a_at_$(q) = (n * batch + min(row0 + $(q * L)u + lane, batch - 1u)) * terms;
        //: end
        for (var block = group % across * each; block < (group % across + 1u) * each; block += 1u) {
            let j = block * $(L)u + lane;
            let column = first + min(j, units - 1u);
            //: for r in 0..R
            var sum_$(r) = vec4f(0.0);
            //: end
            for (var t = 0u; t < terms; t += 1u) {
                //: for q in 0..(R+L-1)/L
                let a_$(q) = work[a_at_$(q) + t];
                //: end
                //: for e in 0..4
                let b_$(e) = textureLoad(w, texel(column + (4u * t + $(e)u) * units));
                //: end
                //: for r in 0..R
                //: for e in 0..4
                let s_$(r)_$(e) = subgroupBroadcast(a_$(r/L)[$(e)], $(r%L)u);
                //: end
                sum_$(r) += s_$(r)_0 * b_0 + s_$(r)_1 * b_1 + s_$(r)_2 * b_2 + s_$(r)_3 * b_3;
                //: end
            }
            var sums: array<vec4f, $(R)>;
            //: for r in 0..R
            sums[$(r)] = sum_$(r);
            //: end
            for (var r = 0u; r < $(R)u; r += 1u) {
                if j < units && row0 + r < batch {
                    cell(n, row0 + r, j, sums[r]);
                }
            }
        }
        storageBarrier();
    }
}
