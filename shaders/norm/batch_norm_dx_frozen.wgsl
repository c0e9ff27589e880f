// dx[r, c] = dy[r, c] · gamma[c] / √(variance[c] + epsilon): the statistics are given, and x has no part in them.
// dy, dx [rows, channels], the others [channels]; an invocation owns one of `count` vectors.
override count: u32;
override channels: u32;
override epsilon: f32;

//: use vectors
@group(0) @binding(0) var<storage, read> dy: array<V>;
@group(0) @binding(1) var<storage, read> gamma: array<V>;
@group(0) @binding(2) var<storage, read> variance: array<V>;
@group(0) @binding(3) var<storage, read_write> dx: array<V>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i < count {
        let c = i % (channels / $(W)u);
        dx[i] = dy[i] * (gamma[c] * inverseSqrt(variance[c] + epsilon));
    }
}
