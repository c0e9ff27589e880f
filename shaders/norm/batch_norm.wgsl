// y[r, c] = (x[r, c] - mean[c]) / √(variance[c] + epsilon) · gamma[c] + beta[c].
// x, y [rows, channels], the others [channels]; an invocation owns one of `count` vectors.
override count: u32;
override channels: u32;
override epsilon: f32;

// V is $(W) channels side by side; channels is a multiple of it.
//: for vector in 4..W+1
alias V = vec4f;
//: end
//: for scalar in W..2
alias V = f32;
//: end
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> gamma: array<V>;
@group(0) @binding(2) var<storage, read> beta: array<V>;
@group(0) @binding(3) var<storage, read> mean: array<V>;
@group(0) @binding(4) var<storage, read> variance: array<V>;
@group(0) @binding(5) var<storage, read_write> y: array<V>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i < count {
        let c = i % (channels / $(W)u);
        y[i] = (x[i] - mean[c]) * inverseSqrt(variance[c] + epsilon) * gamma[c] + beta[c];
    }
}
