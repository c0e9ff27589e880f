// y[r, c] = x[r, c] + bias[c], and max(·, 0) of it where relu = 1.
// x, y [rows, channels], taken as `count` vectors of four; an invocation owns one.
override count: u32;
override channels: u32;
override relu: u32;
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let v = id.x + id.y * groups.x * 64u;
    if v >= count {
        return;
    }
    let c = 4u * v;
    let b = vec4f(
        bias[c % channels],
        bias[(c + 1u) % channels],
        bias[(c + 2u) % channels],
        bias[(c + 3u) % channels],
    );
    let sum = x[v] + b;
    y[v] = select(sum, max(sum, vec4f(0.0)), relu == 1u);
}
