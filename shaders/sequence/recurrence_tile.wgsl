// y[b, p] = h of the step s at place p, and states[s + 1] = cell(gx[b, p], Σ_k w[g, j, k]·states[s, b, k] + bias[g, j]): see
// lib/recurrence for the cells. From the step time[0] on, of $(G) gates.
// w [G, units, units]. A workgroup of 16 × 16 owns 16 rows and blocks of 16 units, an invocation the gates of a unit of a row;
// 16 terms at a time pass through workgroup memory.
alias Units = f32;
@group(0) @binding(0) var<storage, read> w: array<f32>;
//: use recurrence
var<workgroup> tile_h: array<f32, 272>;
var<workgroup> tile_w: array<f32, $(G * 272)>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    //: use recurrence_group
    let r = lane / 16u;
    let c = lane % 16u;
    for (var s = begin; s < begin + span; s += 1u) {
        for (var block = group % across * each; block < (group % across + 1u) * each; block += 1u) {
            let j0 = block * 16u;
            var sum_0 = 0.0;
            var sum_1 = 0.0;
            var sum_2 = 0.0;
            var sum_3 = 0.0;
            for (var k0 = 0u; k0 < units; k0 += 16u) {
                tile_h[r * 17u + c] = 0.0;
                if row0 + r < batch && k0 + c < units {
                    tile_h[r * 17u + c] = states[(s * batch + row0 + r) * units + k0 + c];
                }
                //: for g in 0..G
                tile_w[$(g * 272)u + r * 17u + c] = w_at($(g)u, j0 + r, k0 + c);
                //: end
                workgroupBarrier();
                for (var k = 0u; k < 16u; k += 1u) {
                    let h = tile_h[r * 17u + k];
                    //: for g in 0..G
                    sum_$(g) += h * tile_w[$(g * 272)u + c * 17u + k];
                    //: end
                }
                workgroupBarrier();
            }
            if row0 + r < batch && j0 + c < units {
                cell(s, row0 + r, j0 + c, Gates(sum_0, sum_1, sum_2, sum_3));
            }
        }
        storageBarrier();
        workgroupBarrier();
    }
}

fn w_at(g: u32, j: u32, k: u32) -> f32 {
    if j < units && k < units {
        return w[(g * units + j) * units + k];
    }
    return 0.0;
}
