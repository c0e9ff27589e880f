// Adam and AdamW (Kingma and Ba 2015; Loshchilov and Hutter 2019), in PyTorch's form:
//   g ← g + l2·θ;  m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;
//   θ ← θ - rate·decay·θ - rate · (m / (1-β₁ᵗ)) / (√(v / (1-β₂ᵗ)) + ε).
// rest1 = 1-β₁, rest2 = 1-β₂. The state is v.
override beta1: f32;
override beta2: f32;
override rest1: f32;
override rest2: f32;
override epsilon: f32;
override l2: f32;
override decay: f32;
//: use update
@group(0) @binding(4) var<storage, read_write> first_moment: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> second_moment: array<vec4f>;

fn update(i: u32, p: vec4f, gradient: vec4f) -> Updated {
    let g = gradient + l2 * p;
    let m = beta1 * first_moment[i] + rest1 * g;
    let v = beta2 * second_moment[i] + rest2 * g * g;
    let step = (m / control.correction1) / (sqrt(v / control.correction2) + epsilon);
    let moved = p - control.rate * decay * p - control.rate * step;
    first_moment[i] = m;
    second_moment[i] = v;
    return Updated(g, moved, wild(v));
}
