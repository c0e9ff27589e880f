// The functions of src/ops/pointwise/activation.rs by their number `kind`, then ReLU; a larger number is that of none.
// Nothing here overflows: exp sees no argument above 0.
override kind: u32;
override slope: f32;

fn sigmoid(x: vec4f) -> vec4f {
    let e = exp(-abs(x));
    return select(e, vec4f(1.0), x >= vec4f(0.0)) / (1.0 + e);
}

// Near 0 the polynomial of Cephes' tanhf (Moshier), within a unit of the last place.
fn tanh_of(x: vec4f) -> vec4f {
    let t = abs(x);
    let s = x * x;
    let near = ((((-5.70498872745e-3 * s + 2.06390887954e-2) * s - 5.37397155531e-2) * s + 1.33314422036e-1) * s
        - 3.33332819422e-1) * s * x + x;
    let e = exp(-2.0 * t);
    return select(sign(x) * ((1.0 - e) / (1.0 + e)), near, t < vec4f(0.625));
}

// N. Juffa's erff (stackoverflow.com/a/35148199), within 2⁻²³ of erf in single precision.
fn erf(x: vec4f) -> vec4f {
    let t = min(abs(x), vec4f(4.0));
    let s = t * t;
    var r = (-1.72853470e-5 * t + 3.83197126e-4) * s + (-3.88396438e-3 * t + 2.42546219e-2);
    r = ((r * t - 1.06777877e-1) * t - 6.34846687e-1) * t - 1.28717512e-1;
    let far = 1.0 - exp(r * t - t);
    let near = (((((-5.96761703e-4 * s + 4.99119423e-3) * s - 2.67681349e-2) * s + 1.12819925e-1) * s
        - 3.76125336e-1) * s + 1.28379166e-1) * t + t;
    return sign(x) * select(near, far, t > vec4f(0.927734375));
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
        case 7u: { return max(x, vec4f(0.0)); }
        default: { return x; }
    }
}
