// y[r, c] = x[r, c] + bias[c], and the activation of it.
// x, y [rows, channels], taken as `count` vectors of four; an invocation owns one.
override count: u32;
override channels: u32;
//: use activation
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
    y[v] = activated(x[v] + b);
}
