//! One op's results held to the oracle's, element by element.

use crate::graph::{Graph, Node, TensorInfo};
use crate::op::{In, Out};
use crate::values::Values;

/// How far a result strayed, at the element where it used up most of its tolerance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// The absolute error there.
    pub error: f64,
    /// The tolerance there.
    pub tolerance: f64,
    /// Whether every element was within its own tolerance.
    pub passed: bool,
}

impl Deviation {
    /// No deviation yet.
    pub const NONE: Deviation = Deviation { error: 0.0, tolerance: 0.0, passed: true };

    /// The share of the tolerance that is used up; infinite where there was none to use.
    pub fn share(&self) -> f64 {
        match self.error == 0.0 {
            true => 0.0,
            false => self.error / self.tolerance,
        }
    }

    /// The worse of two.
    pub fn worse(self, other: Deviation) -> Deviation {
        // NaN shares must win, and they compare as false with everything.
        let other_is_worse = !(other.share() <= self.share());
        let passed = self.passed && other.passed;
        Deviation { passed, ..if other_is_worse { other } else { self } }
    }

    fn of(got: f64, want: f64, tolerance: f64) -> Deviation {
        let error = (got - want).abs();
        Deviation { error, tolerance, passed: error <= tolerance }
    }
}

/// Holds what a device made of `x` to the oracle. `before` is what the results held before the op, and
/// `got` what they hold now.
pub fn against_oracle(graph: &Graph, node: &Node, x: &[Values], before: &[Values], got: &[Values]) -> Deviation {
    let infos: Vec<&TensorInfo> = node.x.iter().map(|&t| graph.info(t)).collect();
    let wide: Vec<Values<f64>> = x.iter().map(Values::convert).collect();
    let args: Vec<In<f64>> = wide.iter().zip(&infos).map(|(x, info)| x.arg(0, &info.shape.0)).collect();
    let mut want: Vec<Values<f64>> = before.iter().map(Values::convert).collect();
    let mut sizes = want.clone();
    node.op.reference_f64(&args, &mut want.iter_mut().map(Values::result).collect::<Vec<Out<f64>>>());
    node.op.magnitude(&args, &mut sizes.iter_mut().map(Values::result).collect::<Vec<Out<f64>>>());
    let rounding = node.op.rounding(&infos);
    let mut worst = Deviation::NONE;
    for (result, ((got, want), sizes)) in got.iter().zip(&want).zip(&sizes).enumerate() {
        match (got, want, sizes) {
            (Values::Float(got), Values::Float(want), Values::Float(sizes)) => {
                for ((&got, &want), &size) in got.iter().zip(want).zip(sizes) {
                    // Below the smallest normal number a device may flush to zero.
                    let tolerance = rounding.tolerance(size.abs()) + f64::from(f32::MIN_POSITIVE);
                    worst = worst.worse(Deviation::of(got.into(), want, tolerance));
                }
            }
            (Values::Word(got), Values::Word(want), _) => {
                let floats = node.op.float_words(result);
                for (at, (&got, &want)) in got.iter().zip(want).enumerate() {
                    worst = worst.worse(match floats.contains(&at) {
                        true => {
                            let [got, want] = [got, want].map(|word| f64::from(f32::from_bits(word)));
                            Deviation::of(got, want, 4.0 * f64::from(f32::EPSILON) * want.abs())
                        }
                        false => Deviation::of(got.into(), want.into(), 0.0),
                    });
                }
            }
            _ => return Deviation { error: f64::INFINITY, tolerance: 0.0, passed: false },
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_the_worst_of_all() {
        let fine = Deviation::of(1.0, 1.0 + 1e-9, 1e-8);
        let bad = Deviation::of(2.0, 1.0, 1e-8);
        let nan = Deviation::of(f64::NAN, 1.0, 1e-8);
        assert!(fine.passed && !bad.passed && !nan.passed);
        for (worst, [a, b]) in [(bad, [fine, bad]), (nan, [bad, nan]), (nan, [nan, fine])] {
            let found = a.worse(b);
            assert!(!found.passed && (found.error == worst.error || worst.error.is_nan() && found.error.is_nan()));
        }
        assert!(!Deviation::NONE.worse(Deviation::of(1.0, 2.0, 0.0)).passed);
    }
}
