// kept[b, step, c] = x[b, first + c]; nothing where step is no place of what is kept.
// x [batch, width], kept [batch, places, columns]; an invocation owns one element of this step.
override count: u32;
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
    if i >= count || control.step >= places {
        return;
    }
    let b = i / columns;
    let c = i % columns;
    kept[(b * places + control.step) * columns + c] = x[b * width + first + c];
}
