// dgamma[c] = Σ_s partials[s, 0, c], dbeta[c] = Σ_s partials[s, 1, c], summed in the order of s; sums holds both.
// partials [chunks, 2, channels], sums [2, channels]; an invocation owns a channel.
//: use column_pairs
@group(0) @binding(1) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(2) var<storage, read_write> dbeta: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let c = id.x + id.y * groups.x * 64u;
    if c >= channels {
        return;
    }
    let sum = column_pair(c);
    dgamma[c] = sum.x;
    dbeta[c] = sum.y;
    sums[c] = sum.x;
    sums[channels + c] = sum.y;
}
