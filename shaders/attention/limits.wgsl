// y[b] = lengths[b], at most `most`, or `most` where rows have no lengths; y[batch] = pcg(key ^ pcg(step ^ pcg(salt))).
// lengths [batch], y [batch + 1]; an invocation owns one element.
override batch: u32;
override most: u32;
override salt: u32;
override limited: u32;

//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read> lengths: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

//: use random

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let b = id.x + id.y * groups.x * 64u;
    if b > batch {
        return;
    }
    var value = pcg(control.key ^ pcg(control.step ^ pcg(salt)));
    if b < batch {
        value = most;
        if limited == 1u {
            value = min(most, lengths[b]);
        }
    }
    y[b] = value;
}
