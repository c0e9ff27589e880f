// Lion (Chen et al. 2023): c = β₁m + (1-β₁)g;  θ ← θ - rate·(sign(c) + decay·θ);  m ← β₂m + (1-β₂)g.
// One arena each, [count] vectors of four; an invocation owns one. rest1 = 1-β₁, rest2 = 1-β₂. Where no sample is valid
// nothing changes. fault [1] gets bit 1 for NaN or infinity in g, bit 2 in θ, bit 4 in m.
override count: u32;
override beta1: f32;
override beta2: f32;
override rest1: f32;
override rest2: f32;
override decay: f32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> grads: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> momentum: array<vec4f>;
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
    let c = beta1 * momentum[i] + rest1 * g;
    let moved = p - control.rate * (sign(c) + decay * p);
    let m = beta2 * momentum[i] + rest2 * g;
    params[i] = moved;
    momentum[i] = m;
    let found = select(0u, 1u, wild(g)) | select(0u, 2u, wild(moved)) | select(0u, 4u, wild(m));
    if found != 0u {
        atomicOr(&fault[0], found);
    }
}
