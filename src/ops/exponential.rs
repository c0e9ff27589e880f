//! The exponential function of the native CPU.

/// e to the power of x, for x up to 0, within two units of the last place: what the vectorised loops of the native CPU
/// call. It is 0 where it leaves the range of floats.
#[inline(always)]
pub fn fast_exp(x: f32) -> f32 {
    // Adding it rounds to a whole number, which stands in the last bits.
    const ROUND: f32 = 12_582_912.0;
    const LEAST: f32 = -87.336;
    let bounded = if x < LEAST { LEAST } else { x };
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // ln 2 in two parts, the first of few digits (Cephes' expf, Moshier).
    let r = bounded - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let p = ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r + 0.166_666_65) * r
        + 0.5;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    let value = (p * r * r + r + 1.0) * f32::from_bits(power);
    if x < LEAST { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_exponential_is_right_to_two_units() {
        for i in 0..=87_200 {
            let x = -(i as f32) * 1e-3;
            let (got, want) = (f64::from(fast_exp(x)), f64::from(x).exp());
            assert!((got - want).abs() <= 2.0 * f64::from(f32::EPSILON) * want, "{x}: {got}, not {want}");
        }
        assert_eq!([fast_exp(-1e30), fast_exp(f32::NEG_INFINITY), fast_exp(0.0)], [0.0, 0.0, 1.0]);
        assert!(fast_exp(f32::NAN).is_nan());
    }
}
