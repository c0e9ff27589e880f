// dx[i] = dy[i] where y[i] > 0, else 0.
// All of [count] vectors of four; an invocation owns one.
override count: u32;
@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read> y: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i < count {
        dx[i] = select(vec4f(0.0), dy[i], y[i] > vec4f(0.0));
    }
}
