// Stochastic gradient descent with momentum, in PyTorch's form: g ← g + l2·θ;  b ← momentum·b + g;  θ ← θ - rate·b,
// or, where `nesterov` is not 0, θ ← θ - rate·(g + momentum·b) (Nesterov 1983, Sutskever et al. 2013).
// (b starts at zero, so that the first step has b = g, as PyTorch's has.)
// One arena each, [count] vectors of four; an invocation owns one. Where no sample is valid nothing changes.
// fault [1] gets bit 1 for NaN or infinity in g, bit 2 in θ, bit 4 in b.
override count: u32;
override momentum: f32;
override l2: f32;
override nesterov: u32 = 0u;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> grads: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> velocity: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> fault: array<atomic<u32>>;

//: use wild

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count || control.valid == 0u {
        return;
    }
    let p = params[i];
    let g = grads[i];
    let b = momentum * velocity[i] + g + l2 * p;
    var direction = b;
    if nesterov != 0u {
        direction = g + l2 * p + momentum * b;
    }
    let moved = p - control.rate * direction;
    velocity[i] = b;
    params[i] = moved;
    let found = select(0u, 1u, wild(g)) | select(0u, 2u, wild(moved)) | select(0u, 4u, wild(b));
    if found != 0u {
        atomicOr(&fault[0], found);
    }
}
