// Adagrad (Duchi, Hazan and Singer 2011), in PyTorch's form: g ← g + l2·θ;  s ← s + g²;  θ ← θ - rate·g / (√s + ε).
// One arena each, [count] vectors of four; an invocation owns one. Where no sample is valid nothing changes.
// fault [1] gets bit 1 for NaN or infinity in g, bit 2 in θ, bit 4 in s.
override count: u32;
override epsilon: f32;
override l2: f32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> grads: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> squares: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> fault: array<atomic<u32>>;

// Whether one of the four is NaN or infinite. A test of floats might be folded away: compilers may take them for finite.
fn wild(x: vec4f) -> bool {
    return any((bitcast<vec4u>(x) & vec4u(0x7f800000u)) == vec4u(0x7f800000u));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count || control.valid == 0u {
        return;
    }
    let p = params[i];
    let g = grads[i] + l2 * p;
    let s = squares[i] + g * g;
    let moved = p - control.rate * (g / (sqrt(s) + epsilon));
    params[i] = moved;
    squares[i] = s;
    let found = select(0u, 1u, wild(g)) | select(0u, 2u, wild(moved)) | select(0u, 4u, wild(s));
    if found != 0u {
        atomicOr(&fault[0], found);
    }
}
