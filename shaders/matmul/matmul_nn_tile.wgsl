// y[i, j] = Σ_t a[i, t] · b[t, j]; where masked = 1, it is 0 where mask[i, j] is not above 0.
// a [m, k], b [k, n], mask and y [m, n].
// A workgroup owns a tile of $(TM) × $(TN) outputs, an invocation $(TM/16) × $(TN/16) of them, 16 apart; 16 terms at a time
// pass through workgroup memory.
override m: u32;
override n: u32;
override k: u32;
override masked: u32;
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> tile_a: array<f32, $(16 * (TM + 1))>;
var<workgroup> tile_b: array<f32, $(16 * (TN + 1))>;

fn a_at(i: u32, t: u32, end: u32) -> f32 {
    if i < m && t < end {
        return a[i * k + t];
    }
    return 0.0;
}

fn b_at(t: u32, j: u32, end: u32) -> f32 {
    if j < n && t < end {
        return b[t * n + j];
    }
    return 0.0;
}

fn store(i: u32, j: u32, sum: f32) {
    if i < m && j < n {
        y[i * n + j] = select(0.0, sum, masked == 0u || mask[i * n + j] > 0.0);
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let group = id.x + id.y * groups.x;
    let across = (n + $(TN - 1)u) / $(TN)u;
    let m0 = group / across * $(TM)u;
    let n0 = group % across * $(TN)u;
    if m0 >= m {
        return;
    }
    let begin = 0u;
    let end = k;
    let tm = lane / 16u;
    let tn = lane % 16u;
    //: for i in 0..TM/16
    //: for j in 0..TN/16
    var sum_$(i)_$(j) = 0.0;
    //: end
    //: end
    for (var k0 = begin; k0 < end; k0 += 16u) {
        for (var e = lane; e < $(16 * TM)u; e += 256u) {
            let k = e % 16u;
            let m = e / 16u;
            tile_a[k * $(TM + 1)u + m] = a_at(m0 + m, k0 + k, end);
        }
        for (var e = lane; e < $(16 * TN)u; e += 256u) {
            let k = e / $(TN)u;
            let n = e % $(TN)u;
            tile_b[k * $(TN + 1)u + n] = b_at(k0 + k, n0 + n, end);
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
    //: for i in 0..TM/16
    //: for j in 0..TN/16
    store(m0 + tm + $(16 * i)u, n0 + tn + $(16 * j)u, sum_$(i)_$(j));
    //: end
    //: end
}
