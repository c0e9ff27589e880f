// dx[r, c] = dy[r, c - offset] where c is one of the columns from offset on, else 0.
// dy [rows, columns], dx [rows, width]; an invocation owns one element of dx.
override elements: u32;
override width: u32;
override offset: u32;
override columns: u32;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= elements {
        return;
    }
    let c = i % width;
    let inside = c >= offset && c < offset + columns;
    dx[i] = select(0.0, dy[i / width * columns + select(0u, c - offset, inside)], inside);
}
