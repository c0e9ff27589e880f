// y[n, i] = silu(x[n, i]) · x[n, half + i].
// x [rows, 2·half], y [rows, half]; an invocation owns one of `count` elements of y.
//: use functions
override count: u32;
override half: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i < count {
        let at = i / half * half + i;
        y[i] = x[at] * sigmoid(vec4f(x[at])).x * x[at + half];
    }
}
