// y[r, c] = x[r, c] · factor, and · own[c] where `each` is 1.
// x, y [rows, channels], taken as `count` vectors of four; own [channels]; an invocation owns one vector.
override count: u32;
override channels: u32;
override factor: f32;
override each: u32;
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> own: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let v = id.x + id.y * groups.x * 64u;
    if v < count {
        var scaled = x[v] * factor;
        if each != 0u {
            for (var e = 0u; e < 4u; e += 1u) {
                scaled[e] *= own[(4u * v + e) % channels];
            }
        }
        y[v] = scaled;
    }
}
