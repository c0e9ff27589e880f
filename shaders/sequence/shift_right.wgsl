// y[b, 0] = begin, y[b, t] = x[b, t - 1]; all bits one where x[b, t] is: padding.
// x [batch, times], y [batch, times], `count` elements of each; an invocation owns an element of y.
override count: u32;
override times: u32;
override begin: u32;
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    var token = x[i];
    if token != 0xffffffffu {
        token = select(x[max(i, 1u) - 1u], begin, i % times == 0u);
    }
    y[i] = token;
}
