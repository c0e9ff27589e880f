// dw[i] = Σ_s partials[s, i] for i < weights, db[i - weights] for the rest, summed in the order of s.
// partials [splits, weights + channels]; an invocation owns one sum.
override splits: u32;
override weights: u32;
override channels: u32;
@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> dw: array<f32>;
@group(0) @binding(2) var<storage, read_write> db: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= weights + channels {
        return;
    }
    var sum = 0.0;
    for (var s = 0u; s < splits; s += 1u) {
        sum += partials[s * (weights + channels) + i];
    }
    if i < weights {
        dw[i] = sum;
    } else {
        db[i - weights] = sum;
    }
}
