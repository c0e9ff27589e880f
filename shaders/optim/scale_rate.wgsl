// The control block with its rate times `factor`.
override factor: f32;
//: use control
@group(0) @binding(0) var<storage, read> control: Control;
@group(0) @binding(1) var<storage, read_write> scaled: Control;

@compute @workgroup_size(1)
fn main() {
    var group = control;
    group.rate *= factor;
    scaled = group;
}
