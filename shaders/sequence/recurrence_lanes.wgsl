// y[b, p] = h of the step s at place p, and states[s + 1] = cell(gx[b, p], Σ_k w[g, j, k]·states[s, b, k] + bias[g, j]): see
// lib/recurrence for the cells. From the step time[0] on, of $(G) gates; states are whole vectors of four.
// w [G, units, units], a texture from texel `first` on. For subgroups of $(L): a workgroup owns $(R) rows and blocks of a vector a
// lane. Lane l reads the state of row l, four terms at a time, and hands them round.
alias Units = vec4f;
@group(0) @binding(0) var w: texture_storage_2d<rgba32float, read>;
//: use recurrence
//: use texel
override first: u32;

@compute @workgroup_size($(L))
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    //: use recurrence_group
    for (var s = begin; s < begin + span; s += 1u) {
        //: for q in 0..(R+L-1)/L
        let a_at_$(q) = (s * batch + min(row0 + $(q * L)u + lane, batch - 1u)) * units;
        //: end
        for (var block = group % across * each; block < (group % across + 1u) * each; block += 1u) {
            let j = block * $(L)u + lane;
            let column = min(j, units - 1u);
            //: for r in 0..R
            //: for g in 0..G
            var sum_$(r)_$(g) = vec4f(0.0);
            //: end
            //: end
            for (var t = 0u; t < units; t += 1u) {
                //: for q in 0..(R+L-1)/L
                let a_$(q) = states[a_at_$(q) + t];
                //: end
                //: for g in 0..G
                let b_$(g) = w_at($(g)u * units + column, t);
                //: end
                //: for r in 0..R
                //: for e in 0..4
                let s_$(r)_$(e) = subgroupBroadcast(a_$(r/L)[$(e)], $(r%L)u);
                //: end
                //: for g in 0..G
                sum_$(r)_$(g) += s_$(r)_0 * b_$(g)[0] + s_$(r)_1 * b_$(g)[1] + s_$(r)_2 * b_$(g)[2]
                    + s_$(r)_3 * b_$(g)[3];
                //: end
                //: end
            }
            var sums: array<array<vec4f, 4>, $(R)>;
            //: for r in 0..R
            //: for g in 0..G
            sums[$(r)][$(g)] = sum_$(r)_$(g);
            //: end
            //: end
            for (var r = 0u; r < $(R)u; r += 1u) {
                if j < units && row0 + r < batch {
                    let of_row = sums[r];
                    cell(s, row0 + r, j, Gates(of_row[0], of_row[1], of_row[2], of_row[3]));
                }
            }
        }
        storageBarrier();
    }
}

// Terms 4·t to 4·t + 3 of four rows of w, from row 4·j on: a column of the matrix for each row.
fn w_at(j: u32, t: u32) -> mat4x4f {
    let at = first + 4u * j * units + t;
    return transpose(mat4x4f(
        textureLoad(w, texel(at)),
        textureLoad(w, texel(at + units)),
        textureLoad(w, texel(at + 2u * units)),
        textureLoad(w, texel(at + 3u * units)),
    ));
}
