// Adam and AdamW (Kingma and Ba 2015; Loshchilov and Hutter 2019), in PyTorch's form:
//   g ← g + l2·θ;  m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;
//   θ ← θ - rate·decay·θ - rate · (m / (1-β₁ᵗ)) / (√(v / (1-β₂ᵗ)) + ε).
// One arena each, [count] vectors of four; an invocation owns one. rest1 = 1-β₁, rest2 = 1-β₂. Where no sample is valid
// nothing changes.
// fault [1] gets bit 1 for NaN or infinity in g, bit 2 in θ, bit 4 in v.
override count: u32;
override beta1: f32;
override beta2: f32;
override rest1: f32;
override rest2: f32;
override epsilon: f32;
override l2: f32;
override decay: f32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> grads: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> first_moment: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> second_moment: array<vec4f>;
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
    let m = beta1 * first_moment[i] + rest1 * g;
    let v = beta2 * second_moment[i] + rest2 * g * g;
    let step = (m / control.correction1) / (sqrt(v / control.correction2) + epsilon);
    let moved = p - control.rate * decay * p - control.rate * step;
    params[i] = moved;
    first_moment[i] = m;
    second_moment[i] = v;
    let found = select(0u, 1u, wild(g)) | select(0u, 2u, wild(moved)) | select(0u, 4u, wild(v));
    if found != 0u {
        atomicOr(&fault[0], found);
    }
}
