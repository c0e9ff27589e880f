// What becomes of four sums of a convolution that have their bias: they are normalised by given statistics where normed = 1,
// and the activation `kind` is applied. What is not there is not read.
//: use activation_lanes
//: use normal
override normed: u32;
alias V = vec4f;
@group(0) @binding(4) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(5) var<storage, read> beta: array<vec4f>;
@group(0) @binding(6) var<storage, read> mean: array<vec4f>;
@group(0) @binding(7) var<storage, read> variance: array<vec4f>;

fn finished(z: vec4f, column: u32) -> vec4f {
    var value = z;
    if normed == 1u {
        value = normal(value, column);
    }
    return activated(value);
}
