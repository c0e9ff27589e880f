// Adagrad (Duchi, Hazan and Singer 2011), in PyTorch's form: g ← g + l2·θ;  s ← s + g²;  θ ← θ - rate·g / (√s + ε).
// The state is s.
override epsilon: f32;
override l2: f32;
//: use update
@group(0) @binding(4) var<storage, read_write> squares: array<vec4f>;

fn update(i: u32, p: vec4f, gradient: vec4f) -> Updated {
    let g = gradient + l2 * p;
    let s = squares[i] + g * g;
    let moved = p - control.rate * (g / (sqrt(s) + epsilon));
    squares[i] = s;
    return Updated(g, moved, wild(s));
}
