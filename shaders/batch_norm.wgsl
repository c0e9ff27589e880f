// y[r, c] = (x[r, c] - mean[c]) / √(variance[c] + epsilon) · gamma[c] + beta[c].
// x, y [rows, channels], the others [channels]; an invocation owns one element.
override count: u32;
override channels: u32;
override epsilon: f32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> variance: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i < count {
        let c = i % channels;
        y[i] = (x[i] - mean[c]) * inverseSqrt(variance[c] + epsilon) * gamma[c] + beta[c];
    }
}
