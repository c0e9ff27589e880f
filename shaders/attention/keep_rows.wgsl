// kept[b, step + t, c] = x[b, t, first + c]; nothing where step + t is no place of what is kept.
// x [batch, rows, width], kept [batch, places, columns]; an invocation owns one element of these rows.
override count: u32;
override rows: u32;
override width: u32;
override places: u32;
override columns: u32;
override first: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> kept: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    let row = i / columns;
    let c = i % columns;
    let place = control.step + row % rows;
    if i >= count || place >= places {
        return;
    }
    kept[(row / rows * places + place) * columns + c] = x[row * width + first + c];
}
