// y[n, c] = weight[tokens[n], c]; zero where the weight has no such row: padding has all bits one.
// tokens [rows], weight [vocabulary, channels]; y [rows, channels], taken as `count` vectors of four; an invocation owns one.
override count: u32;
override rows: u32;
override vocabulary: u32;
override channels: u32;
@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

fn element(i: u32) -> f32 {
    let token = tokens[min(i / channels, rows - 1u)];
    if token >= vocabulary {
        return 0.0;
    }
    return weight[token * channels + i % channels];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let v = id.x + id.y * groups.x * 64u;
    if v >= count {
        return;
    }
    y[v] = vec4f(element(4u * v), element(4u * v + 1u), element(4u * v + 2u), element(4u * v + 3u));
}
