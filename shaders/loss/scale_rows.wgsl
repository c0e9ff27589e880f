// y[r, c] = s[r] · x[r, c].
// x, y [rows, columns], s [rows]; an invocation owns one element.
override count: u32;
override columns: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> s: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i < count {
        y[i] = s[i / columns] * x[i];
    }
}
