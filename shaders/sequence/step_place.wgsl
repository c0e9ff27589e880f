// y[b] = step + offset, at most `most`: the place of the token that this step reads.
// y [batch]; an invocation owns one row.
override batch: u32;
override offset: u32;
override most: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x < batch {
        y[id.x] = min(control.step + offset, most);
    }
}
