// What becomes of a sum of a convolution: bias[column] is added where biased = 1, it is normalised by given statistics where
// normed = 1, and the activation `kind` applied. What is not there is not read.
//: use activation
//: use normal
override biased: u32;
override normed: u32;
alias V = f32;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(5) var<storage, read> beta: array<f32>;
@group(0) @binding(6) var<storage, read> mean: array<f32>;
@group(0) @binding(7) var<storage, read> variance: array<f32>;

fn finished(sum: f32, place: u32, column: u32) -> f32 {
    var value = sum;
    if biased == 1u {
        value += bias[column];
    }
    if normed == 1u {
        value = normal(value, column);
    }
    return activated(vec4f(value)).x;
}
