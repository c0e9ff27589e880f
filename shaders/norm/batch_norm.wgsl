// y[r, c] = (x[r, c] - mean[c]) / √(variance[c] + epsilon) · gamma[c] + beta[c], and the activation of it.
// x, y [rows, channels], the others [channels]; an invocation owns one of `count` vectors.
//: use vectors
//: use normal
//: use activation
override count: u32;
override channels: u32;
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
        y[i] = first(activated(vec4f(normal(x[i], i % (channels / $(W)u)))));
    }
}
