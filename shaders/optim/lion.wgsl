// Lion (Chen et al. 2023): c = β₁m + (1-β₁)g;  θ ← θ - rate·(sign(c) + decay·θ);  m ← β₂m + (1-β₂)g.
// rest1 = 1-β₁, rest2 = 1-β₂. The state is m.
override beta1: f32;
override beta2: f32;
override rest1: f32;
override rest2: f32;
override decay: f32;
//: use update
@group(0) @binding(4) var<storage, read_write> momentum: array<vec4f>;

fn update(i: u32, p: vec4f, g: vec4f) -> Updated {
    let c = beta1 * momentum[i] + rest1 * g;
    let moved = p - control.rate * (sign(c) + decay * p);
    let m = beta2 * momentum[i] + rest2 * g;
    momentum[i] = m;
    return Updated(g, moved, wild(m));
}
