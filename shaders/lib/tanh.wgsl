// tanh x: exp sees no argument above 0. Near 0 the error is a unit of 1, not of the result.
fn tanh_of(x: f32) -> f32 {
    let e = exp(-2.0 * abs(x));
    let t = (1.0 - e) / (1.0 + e);
    return select(t, -t, x < 0.0);
}
