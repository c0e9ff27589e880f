// y[n, c, r] = x[n, r, c].
// x [N, rows, columns], y [N, columns, rows]; an invocation owns one element of y.
override count: u32;
override rows: u32;
override columns: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    let r = i % rows;
    let c = i / rows % columns;
    let n = i / (rows * columns);
    y[i] = x[(n * rows + r) * columns + c];
}
