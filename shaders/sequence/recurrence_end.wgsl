// h[i] = states[first + i]; where doubled = 1, c[i] = states[second + i].
// h, c [count]; an invocation owns an element of each.
//: use recurrence_ends
@group(0) @binding(0) var<storage, read> states: array<f32>;
@group(0) @binding(1) var<storage, read_write> h: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    h[i] = states[first + i];
    if doubled == 1u {
        c[i] = states[second + i];
    }
}
