// The gradients brought to a norm of at most the limit: g ← scale·g. What is 0 stays 0 even where scale is NaN, so that
// nothing gets into the gaps between an arena's members.
// grads [count] vectors of four, in place; scale [1]. An invocation owns a vector.
override count: u32;

@group(0) @binding(0) var<storage, read> scale: array<f32>;
@group(0) @binding(1) var<storage, read_write> grads: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    let g = grads[i];
    grads[i] = select(scale[0] * g, g, g == vec4f(0.0));
}
