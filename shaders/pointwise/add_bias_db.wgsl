// db[c] = Σ_s partials[s, c], summed in the order of s.
// partials [chunks, channels], db [channels]; an invocation owns a channel.
override channels: u32;
override chunks: u32;
@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> db: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let c = id.x + id.y * groups.x * 64u;
    if c >= channels {
        return;
    }
    var sum = 0.0;
    for (var s = 0u; s < chunks; s += 1u) {
        sum += partials[s * channels + c];
    }
    db[c] = sum;
}
