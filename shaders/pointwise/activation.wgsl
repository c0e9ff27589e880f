// y[i] = f(x[i]), f by its number `kind` in the table of src/ops/pointwise/activation.rs.
// Both of [count] vectors of four; an invocation owns one.
//: use activation
override count: u32;
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i < count {
        y[i] = activated(x[i]);
    }
}
