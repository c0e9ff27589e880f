// dx[i] = dy[i] · f', f by its number `kind` in the table of src/ops/pointwise/activation.rs, with f' computed from x[i], which
// is the argument of f or, where the table says so, its result.
// All of [count] vectors of four; an invocation owns one.
//: use functions
override count: u32;
override kind: u32;
override slope: f32;
@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

// The normal distribution.
fn normal(x: vec4f) -> vec4f {
    return 0.5 + 0.5 * erf(x * 0.70710678);
}

// Beyond 14 the density is below the smallest float.
fn density(x: vec4f) -> vec4f {
    let t = min(abs(x), vec4f(14.0));
    return 0.39894228 * exp(-0.5 * t * t);
}

fn gelu_tanh(t: vec4f) -> vec4f {
    let slope = 1.5957691 * (1.0 + 0.134145 * t * t);
    return sigmoid(cubic(t)) * (1.0 + t * slope * sigmoid(-cubic(t)));
}

fn derivative(x: vec4f) -> vec4f {
    switch kind {
        case 0u: { return x * (1.0 - x); }
        case 1u: { return (1.0 - x) * (1.0 + x); }
        case 2u: { return normal(x) + x * density(x); }
        case 3u: { return sigmoid(x) * (1.0 + x * sigmoid(-x)); }
        case 4u: { return select(vec4f(slope), vec4f(1.0), x > vec4f(0.0)); }
        case 5u: { return sigmoid(x); }
        case 6u: { return select(select(x / 3.0 + 0.5, vec4f(0.0), x <= vec4f(-3.0)), vec4f(1.0), x >= vec4f(3.0)); }
        case 7u: { return gelu_tanh(bounded(x)); }
        case 8u: { return select(vec4f(0.0), vec4f(1.0), (x > vec4f(0.0)) & (x < vec4f(6.0))); }
        case 9u: { return select(vec4f(0.0), vec4f(1.0 / 6.0), (x > vec4f(-3.0)) & (x < vec4f(3.0))); }
        case 10u: { return select(slope * exp(min(x, vec4f(0.0))), vec4f(1.0), x > vec4f(0.0)); }
        case 11u: { return select(1.7580993408 * exp(min(x, vec4f(0.0))), vec4f(1.0507009874), x > vec4f(0.0)); }
        case 12u: {
            let share = tanh_softplus(x);
            let rest = share.rest * (share.a + share.b) / (share.b * share.b);
            return share.a / share.b + x * rest * sigmoid(x);
        }
        default: { return vec4f(1.0); }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if i < count {
        dx[i] = dy[i] * derivative(x[i]);
    }
}
