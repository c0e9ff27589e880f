// x[b] = tokens[b, step]: the token at the place of this step.
// tokens [batch, length]; x [batch]; an invocation owns one row.
override batch: u32;
override length: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x < batch {
        x[id.x] = tokens[id.x * length + min(control.step, length - 1u)];
    }
}
