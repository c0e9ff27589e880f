// RMSprop (Tieleman and Hinton 2012), in PyTorch's form:
//   g ← g + l2·θ;  s ← α·s + (1-α)g²;  b ← momentum·b + g / (√s + ε);  θ ← θ - rate·b.
// One arena each, [count] vectors of four; an invocation owns one. rest = 1-α. Where no sample is valid nothing changes.
// fault [1] gets bit 1 for NaN or infinity in g, bit 2 in θ, bit 4 in s or b.
override count: u32;
override alpha: f32;
override rest: f32;
override epsilon: f32;
override momentum: f32;
override l2: f32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> grads: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> square_average: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> velocity: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> fault: array<atomic<u32>>;

//: use wild

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count || control.valid == 0u {
        return;
    }
    let p = params[i];
    let g = grads[i] + l2 * p;
    let s = alpha * square_average[i] + rest * g * g;
    let b = momentum * velocity[i] + g / (sqrt(s) + epsilon);
    let moved = p - control.rate * b;
    params[i] = moved;
    square_average[i] = s;
    velocity[i] = b;
    let found = select(0u, 1u, wild(g)) | select(0u, 2u, wild(moved)) | select(0u, 4u, wild(s) || wild(b));
    if found != 0u {
        atomicOr(&fault[0], found);
    }
}
