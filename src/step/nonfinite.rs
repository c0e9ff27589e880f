//! The watchdog's word: where a step has found a NaN or an infinity. The optimizer writes it, and the step's record
//! contains it.

/// A gradient, with the decay that is added to it.
pub const GRADIENT: u32 = 1;
/// A parameter after its update.
pub const PARAMETER: u32 = 2;
/// The state of the optimizer.
pub const STATE: u32 = 4;
/// The loss.
pub const LOSS: u32 = 8;

/// The exponent of a float, all of its bits set in NaN and infinity alone. Compilers of shaders may take it that floats
/// are finite, and fold `x != x` to false; of words they know no such thing.
pub const EXPONENT: u32 = 0x7f80_0000;

/// `bit` where a float is NaN or infinite, else 0.
#[inline(always)]
pub fn of(x: f32, bit: u32) -> u32 {
    if x.to_bits() & EXPONENT == EXPONENT { bit } else { 0 }
}

/// The places that a word names, for people; `None` if it names none.
pub fn words(fault: u32) -> Option<String> {
    let names = [
        (GRADIENT, "the gradients"),
        (PARAMETER, "the parameters"),
        (STATE, "the optimizer's state"),
        (LOSS, "the loss"),
    ];
    let found: Vec<&str> = names.iter().filter(|(bit, _)| fault & bit != 0).map(|(_, name)| *name).collect();
    match found.split_last() {
        None => None,
        Some((last, [])) => Some((*last).into()),
        Some((last, others)) => Some(format!("{} and {last}", others.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nan_and_infinity_are_faults() {
        for x in [0.0, -0.0, 1.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-45] {
            assert_eq!(of(x, STATE), 0, "{x}");
        }
        for x in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0x7f80_0001)] {
            assert_eq!(of(x, STATE), STATE, "{x}");
        }
    }

    #[test]
    fn a_word_names_its_places() {
        for (fault, expected) in [
            (0, None),
            (PARAMETER, Some("the parameters")),
            (GRADIENT | STATE, Some("the gradients and the optimizer's state")),
            (15, Some("the gradients, the parameters, the optimizer's state and the loss")),
        ] {
            assert_eq!(words(fault).as_deref(), expected);
        }
    }
}
