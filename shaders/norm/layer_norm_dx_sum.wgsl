// dgamma[c] = Σ_s partials[s, 0, c], dbeta[c] = Σ_s partials[s, 1, c], summed in the order of s.
// partials [chunks, 2, channels]; an invocation owns a channel.
override channels: u32;
override chunks: u32;
@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(2) var<storage, read_write> dbeta: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let c = id.x + id.y * groups.x * 64u;
    if c >= channels {
        return;
    }
    var sum = vec2f(0.0);
    for (var s = 0u; s < chunks; s += 1u) {
        sum += vec2f(partials[2u * s * channels + c], partials[(2u * s + 1u) * channels + c]);
    }
    dgamma[c] = sum.x;
    dbeta[c] = sum.y;
}
