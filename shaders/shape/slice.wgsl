// y[r, c] = x[r, offset + c] for c < columns.
// x [rows, width], y [rows, columns] of `elements`; an invocation owns a vector of four of y.
override elements: u32;
override width: u32;
override offset: u32;
override columns: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let v = id.x + id.y * groups.x * 64u;
    if v >= (elements + 3u) / 4u {
        return;
    }
    var value = vec4f(0.0);
    for (var e = 0u; e < min(4u, elements - 4u * v); e += 1u) {
        let i = 4u * v + e;
        value[e] = x[i / columns * width + offset + i % columns];
    }
    y[v] = value;
}
