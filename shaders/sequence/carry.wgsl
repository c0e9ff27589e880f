// kept[i] = x[i] for the batch that follows; 0 where this batch is the epoch's last.
// x, kept [count]; an invocation owns one element.
override count: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> kept: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= count {
        return;
    }
    kept[i] = select(x[i], 0.0, control.first + control.valid >= control.samples);
}
