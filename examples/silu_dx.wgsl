// dx[i] = dy[i] · s · (1 + x[i] · (1 - s)) with s = 1 / (1 + exp(-x[i])).
// All of [count] vectors of four; an invocation owns one.
override count: u32;
@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i < count {
        let s = 1.0 / (1.0 + exp(-x[i]));
        dx[i] = dy[i] * s * (1.0 + x[i] * (1.0 - s));
    }
}
