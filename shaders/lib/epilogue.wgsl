// What becomes of a sum: bias[column] is added where biased = 1, the activation `kind` applied, and where masked = 1 it is
// 0 where the mask at its place is not above 0. What is not there is not read.
//: use activation
override biased: u32;
override masked: u32;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<f32>;

fn finished(sum: f32, place: u32, column: u32) -> f32 {
    var value = sum;
    if biased == 1u {
        value += bias[column];
    }
    value = activated(vec4f(value)).x;
    if masked == 1u {
        value = select(0.0, value, mask[place] > 0.0);
    }
    return value;
}
