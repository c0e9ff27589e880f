// dx[n, i] = dy[n, i] · x[n, half + i] · silu'(x[n, i]) and dx[n, half + i] = dy[n, i] · silu(x[n, i]).
// dy [rows, half], x and dx [rows, 2·half]; an invocation owns one of `count` elements of dy.
//: use functions
override count: u32;
override half: u32;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i < count {
        let at = i / half * half + i;
        let both = sigmoid(vec4f(x[at], -x[at], 0.0, 0.0));
        dx[at] = dy[i] * x[at + half] * (both.x * (1.0 + x[at] * both.y));
        dx[at + half] = dy[i] * (x[at] * both.x);
    }
}
