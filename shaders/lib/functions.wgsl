// Functions that activations and their derivatives are made of. Nothing here overflows: exp sees no argument above 0.
fn sigmoid(x: vec4f) -> vec4f {
    let e = exp(-abs(x));
    return select(e, vec4f(1.0), x >= vec4f(0.0)) / (1.0 + e);
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

// Beyond this the tanh form of GELU is 0 or x.
fn bounded(x: vec4f) -> vec4f { return clamp(x, vec4f(-20.0), vec4f(20.0)); }

// The argument of its sigmoid.
fn cubic(t: vec4f) -> vec4f { return 1.5957691 * t * (1.0 + 0.044715 * t * t); }

// e^x - 1 for x <= 0. Near 0 the series, whose next term is below 2⁻²⁶ of the sum.
fn expm1(x: vec4f) -> vec4f {
    let near = (((((((x / 8.0 + 1.0) * x / 7.0 + 1.0) * x / 6.0 + 1.0) * x / 5.0 + 1.0) * x / 4.0 + 1.0) * x / 3.0 + 1.0)
        * x / 2.0 + 1.0) * x;
    return select(exp(x) - 1.0, near, x > vec4f(-0.5));
}

// a and b, for which tanh(ln(1 + e^x)) = a / b, and b - a.
struct Share { a: vec4f, b: vec4f, rest: vec4f }

fn tanh_softplus(x: vec4f) -> Share {
    let e = exp(-abs(x));
    let above = x >= vec4f(0.0);
    let a = select(e * (e + 2.0), 1.0 + 2.0 * e, above);
    let rest = select(vec4f(2.0), 2.0 * e * e, above);
    return Share(a, a + rest, rest);
}
