// An optimizer's update: one arena each of parameters and gradients, [count] vectors of four, of which an invocation owns one.
// Where no sample is valid nothing changes. fault [1] gets bit 1 for NaN or infinity in the gradient, bit 2 in the parameter,
// bit 4 in the optimizer's state. The file that uses this declares
//   update(i, p, g) -> Updated: the parameter p, number i, moved by its gradient g; it stores the optimizer's own state.
override count: u32;
//: use control
//: use wild
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> grads: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> fault: array<atomic<u32>>;

// The gradient that it went by, the parameter, and whether the state is wild.
struct Updated { gradient: vec4f, moved: vec4f, state: bool }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count || control.valid == 0u {
        return;
    }
    let updated = update(i, params[i], grads[i]);
    params[i] = updated.moved;
    let found = select(0u, 1u, wild(updated.gradient)) | select(0u, 2u, wild(updated.moved)) | select(0u, 4u, updated.state);
    if found != 0u {
        atomicOr(&fault[0], found);
    }
}
