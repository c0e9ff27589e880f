// y[i mod texels, i / texels] = x[i], four floats at a time: where reading a texture is cheaper than reading a buffer.
override texels: u32;
override count: u32;
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var y: texture_storage_2d<rgba32float, write>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
    let i = (id.x + id.y * groups.x) * 64u + lane;
    if i < count {
        textureStore(y, vec2u(i % texels, i / texels), x[i]);
    }
}
