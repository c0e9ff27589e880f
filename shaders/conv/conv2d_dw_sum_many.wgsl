// dw[i] = Σ_s partials[s, i] for i < weights, db[i - weights] for the rest.
// partials [splits, weights + channels].
// A workgroup owns 32 sums; 8 invocations share out the parts of one, and the first adds up what they have.
override splits: u32;
override weights: u32;
override channels: u32;
@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> dw: array<f32>;
@group(0) @binding(2) var<storage, read_write> db: array<f32>;

var<workgroup> shares: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let i = (id.x + id.y * groups.x) * 32u + lane % 32u;
    let count = weights + channels;
    var sum = 0.0;
    if i < count {
        for (var s = lane / 32u; s < splits; s += 8u) {
            sum += partials[s * count + i];
        }
    }
    shares[lane] = sum;
    workgroupBarrier();
    if lane >= 32u || i >= count {
        return;
    }
    for (var p = 1u; p < 8u; p += 1u) {
        sum += shares[lane + p * 32u];
    }
    if i < weights {
        dw[i] = sum;
    } else {
        db[i - weights] = sum;
    }
}
