// The average of the weights: e ← e + rest·(θ - e), rest = max(1 - decay, 9 / (10 + t)), t the updates before this one.
// (With d = 1 - rest: e ← d·e + (1 - d)·θ, d = min(decay, (1 + t) / (10 + t)); an average that is there stays to the bit.)
// One arena each, [count] vectors of four; an invocation owns one. Where no sample is valid nothing changes.
override count: u32;
override rest: f32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> params: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> average: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count || control.valid == 0u {
        return;
    }
    let share = max(rest, 9.0 / (10.0 + f32(control.step)));
    let e = average[i];
    average[i] = e + share * (params[i] - e);
}
