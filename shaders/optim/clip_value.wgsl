// Every element brought into ±limit: g ← min(max(g, -limit), limit); NaN and infinity stay, for the watchdog to find.
// grads [count] vectors of four, in place; an invocation owns one.
override count: u32;
override limit: f32;

@group(0) @binding(0) var<storage, read_write> grads: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    let g = grads[i];
    // Of words, not of floats, which compilers may take for finite.
    let wild = (bitcast<vec4u>(g) & vec4u(0x7f800000u)) == vec4u(0x7f800000u);
    grads[i] = select(clamp(g, vec4f(-limit), vec4f(limit)), g, wild);
}
