// y[n, c] = x[n, c] · scale(c) + shift(c), where scale and shift are those of channel c of up to four.
// x, y [positions, channels], `count` vectors of four elements. An invocation owns one of them.
override count: u32;
override channels: u32;
override scale0: f32;
override scale1: f32;
override scale2: f32;
override scale3: f32;
override shift0: f32;
override shift1: f32;
override shift2: f32;
override shift3: f32;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

fn normalised(v: f32, c: u32) -> f32 {
    if c == 0u {
        return v * scale0 + shift0;
    }
    if c == 1u {
        return v * scale1 + shift1;
    }
    if c == 2u {
        return v * scale2 + shift2;
    }
    return v * scale3 + shift3;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let v = id.x + id.y * groups.x * 64u;
    if v >= count {
        return;
    }
    let value = x[v];
    let c = v * 4u % channels;
    y[v] = vec4f(
        normalised(value.x, c),
        normalised(value.y, (c + 1u) % channels),
        normalised(value.z, (c + 2u) % channels),
        normalised(value.w, (c + 3u) % channels),
    );
}
