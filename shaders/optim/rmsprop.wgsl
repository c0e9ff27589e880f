// RMSprop (Tieleman and Hinton 2012), in PyTorch's form:
//   g ← g + l2·θ;  s ← α·s + (1-α)g²;  b ← momentum·b + g / (√s + ε);  θ ← θ - rate·b.
// rest = 1-α. The state is s or b.
override alpha: f32;
override rest: f32;
override epsilon: f32;
override momentum: f32;
override l2: f32;
//: use update
@group(0) @binding(4) var<storage, read_write> square_average: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> velocity: array<vec4f>;

fn update(i: u32, p: vec4f, gradient: vec4f) -> Updated {
    let g = gradient + l2 * p;
    let s = alpha * square_average[i] + rest * g * g;
    let b = momentum * velocity[i] + g / (sqrt(s) + epsilon);
    let moved = p - control.rate * b;
    square_average[i] = s;
    velocity[i] = b;
    return Updated(g, moved, wild(s) || wild(b));
}
