// Stochastic gradient descent with momentum, in PyTorch's form: g ← g + l2·θ;  b ← momentum·b + g;  θ ← θ - rate·b,
// or, where `nesterov` is not 0, θ ← θ - rate·(g + momentum·b) (Nesterov 1983, Sutskever et al. 2013).
// (b starts at zero, so that the first step has b = g, as PyTorch's has.)
// The state is b.
override momentum: f32;
override l2: f32;
override nesterov: u32 = 0u;
//: use update
@group(0) @binding(4) var<storage, read_write> velocity: array<vec4f>;

fn update(i: u32, p: vec4f, g: vec4f) -> Updated {
    let b = momentum * velocity[i] + g + l2 * p;
    var direction = b;
    if nesterov != 0u {
        direction = g + l2 * p + momentum * b;
    }
    let moved = p - control.rate * direction;
    velocity[i] = b;
    return Updated(g, moved, wild(b));
}
