// The functions of src/ops/pointwise/activation.rs by their number `kind`; 100 is ReLU, a larger number none.
//: use functions
override kind: u32;
override slope: f32;

// Near 0 the polynomial of Cephes' tanhf (Moshier), within a unit of the last place.
fn tanh_of(x: vec4f) -> vec4f {
    let t = abs(x);
    let s = x * x;
    let near = ((((-5.70498872745e-3 * s + 2.06390887954e-2) * s - 5.37397155531e-2) * s + 1.33314422036e-1) * s
        - 3.33332819422e-1) * s * x + x;
    let e = exp(-2.0 * t);
    return select(sign(x) * ((1.0 - e) / (1.0 + e)), near, t < vec4f(0.625));
}

// ln(1 + e) for e in [0, 1]: 2·artanh(e / (2 + e)), whose series ends below 2⁻²⁸ here. WGSL's log may err by 2⁻²¹.
fn log1p(e: vec4f) -> vec4f {
    let s = e / (2.0 + e);
    let q = s * s;
    let series = ((((((q / 15.0 + 1.0 / 13.0) * q + 1.0 / 11.0) * q + 1.0 / 9.0) * q + 1.0 / 7.0) * q + 0.2) * q
        + 1.0 / 3.0) * q + 1.0;
    return 2.0 * s * series;
}

fn activated(x: vec4f) -> vec4f {
    switch kind {
        case 0u: { return sigmoid(x); }
        case 1u: { return tanh_of(x); }
        case 2u: { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
        case 3u: { return x * sigmoid(x); }
        case 4u: { return select(slope * x, x, x > vec4f(0.0)); }
        case 5u: { return max(x, vec4f(0.0)) + log1p(exp(-abs(x))); }
        case 6u: { return x * (clamp(x + 3.0, vec4f(0.0), vec4f(6.0)) / 6.0); }
        case 7u: { return x * sigmoid(cubic(bounded(x))); }
        case 8u: { return clamp(x, vec4f(0.0), vec4f(6.0)); }
        case 9u: { return clamp(x + 3.0, vec4f(0.0), vec4f(6.0)) / 6.0; }
        case 10u: { return select(slope * expm1(min(x, vec4f(0.0))), x, x > vec4f(0.0)); }
        case 11u: { return select(1.7580993408 * expm1(min(x, vec4f(0.0))), 1.0507009874 * x, x > vec4f(0.0)); }
        case 12u: {
            let share = tanh_softplus(x);
            return x * (share.a / share.b);
        }
        case 100u: { return max(x, vec4f(0.0)); }
        default: { return x; }
    }
}
