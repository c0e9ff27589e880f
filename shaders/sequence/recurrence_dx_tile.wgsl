// dgx[b, p] = the gradients of the step s at place p, given dh[j] = dy[b, p, j] + Σ_q w[q, j]·(the gradients of the sums q of
// step s + 1): see lib/recurrence_dx. From number time[0] down, of $(G) gates.
// w [G·units, units]. A workgroup of 16 × 16 owns 16 rows and blocks of 16 units, an invocation a unit of a row; 16 terms at a
// time pass through workgroup memory.
alias Units = f32;
@group(0) @binding(0) var<storage, read> w: array<f32>;
//: use recurrence_dx
var<workgroup> tile_d: array<f32, 272>;
var<workgroup> tile_w: array<f32, 272>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    //: use recurrence_group
    let r = lane / 16u;
    let c = lane % 16u;
    for (var i = 0u; i < span; i += 1u) {
        let n = begin - i;
        // Nothing comes from after the last step.
        let terms = select(0u, $(G)u * units, n < steps);
        for (var block = group % across * each; block < (group % across + 1u) * each; block += 1u) {
            let j0 = block * 16u;
            var sum = 0.0;
            for (var k0 = 0u; k0 < terms; k0 += 16u) {
                tile_d[r * 17u + c] = 0.0;
                if row0 + r < batch && k0 + c < terms {
                    tile_d[r * 17u + c] = work[(n * batch + row0 + r) * terms + k0 + c];
                }
                tile_w[r * 17u + c] = 0.0;
                if k0 + r < terms && j0 + c < units {
                    tile_w[r * 17u + c] = w[(k0 + r) * units + j0 + c];
                }
                workgroupBarrier();
                for (var k = 0u; k < 16u; k += 1u) {
                    sum += tile_d[r * 17u + k] * tile_w[k * 17u + c];
                }
                workgroupBarrier();
            }
            if row0 + r < batch && j0 + c < units {
                cell(n, row0 + r, j0 + c, sum);
            }
        }
        storageBarrier();
        workgroupBarrier();
    }
}
