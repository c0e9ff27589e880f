// Adadelta (Zeiler 2012), in PyTorch's form:
//   g ← g + l2·θ;  s ← ρ·s + (1-ρ)g²;  d = √(a + ε) / √(s + ε) · g;  a ← ρ·a + (1-ρ)d²;  θ ← θ - rate·d.
// rest = 1-ρ. The state is s or a.
override rho: f32;
override rest: f32;
override epsilon: f32;
override l2: f32;
//: use update
@group(0) @binding(4) var<storage, read_write> square_average: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> delta_average: array<vec4f>;

fn update(i: u32, p: vec4f, gradient: vec4f) -> Updated {
    let g = gradient + l2 * p;
    let s = rho * square_average[i] + rest * g * g;
    let d = sqrt(delta_average[i] + epsilon) / sqrt(s + epsilon) * g;
    let a = rho * delta_average[i] + rest * d * d;
    let moved = p - control.rate * d;
    square_average[i] = s;
    delta_average[i] = a;
    return Updated(g, moved, wild(s) || wild(a));
}
