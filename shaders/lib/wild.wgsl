// Whether one of the four is NaN or infinite. A test of floats might be folded away: compilers may take them for finite.
fn wild(x: vec4f) -> bool {
    return any((bitcast<vec4u>(x) & vec4u(0x7f800000u)) == vec4u(0x7f800000u));
}
