// y[i] = 0 where pcg(i / each ^ salt(key, step, salt)) < threshold, else x[i] · scale.
// x and y of [count] vectors of four; an invocation owns one. The gradient is the same on dy.
override count: u32;
override threshold: u32;
override salt: u32;
override scale: f32;
override each: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

//: use random

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i < count {
        let key = pcg(control.key ^ pcg(control.step ^ pcg(salt)));
        var value = x[i] * scale;
        for (var e = 0u; e < 4u; e += 1u) {
            if pcg(((4u * i + e) / each) ^ key) < threshold {
                value[e] = 0.0;
            }
        }
        y[i] = value;
    }
}
