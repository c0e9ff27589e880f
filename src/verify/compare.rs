//! Results compared with the oracle's, element by element.

use crate::ir::graph::{Graph, Node, TensorInfo};
use crate::ir::op::{In, Out, Rounding};
use crate::ir::values::Values;
use std::ops::Range;

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
        let passed = self.passed && other.passed;
        let other_is_worse = match (self.share().is_nan(), other.share().is_nan()) {
            (true, _) => false,
            (_, true) => true,
            _ => other.share() > self.share(),
        };
        Deviation { passed, ..if other_is_worse { other } else { self } }
    }

    fn of(got: f64, want: f64, tolerance: f64) -> Deviation {
        let error = (got - want).abs();
        // Written so that NaN fails.
        Deviation { error, tolerance, passed: error <= tolerance }
    }
}

/// What the oracle makes of an op's arguments, with the magnitudes of it.
pub struct Oracle<'a> {
    node: &'a Node,
    rounding: Rounding,
    want: Vec<Values<f64>>,
    sizes: Vec<Values<f64>>,
}

impl<'a> Oracle<'a> {
    /// Of the arguments `x`; `before` is what the results held before the op.
    pub fn of(graph: &Graph, node: &'a Node, x: &[Values], before: &[Values]) -> Oracle<'a> {
        let infos: Vec<&TensorInfo> = node.x.iter().map(|&t| graph.info(t)).collect();
        let wide: Vec<Values<f64>> = x.iter().map(Values::convert).collect();
        let args: Vec<In<f64>> = wide.iter().zip(&infos).map(|(x, info)| x.arg(0, &info.shape.0)).collect();
        let mut want: Vec<Values<f64>> = before.iter().map(Values::convert).collect();
        let mut sizes = want.clone();
        let results = |y: &mut [Values<f64>], run: &dyn Fn(&mut [Out<f64>])| {
            run(&mut y.iter_mut().map(Values::result).collect::<Vec<Out<f64>>>());
        };
        rayon::join(
            || results(&mut want, &|y| node.op.reference_f64(&args, y)),
            || results(&mut sizes, &|y| node.op.magnitude(&args, y)),
        );
        Oracle { node, rounding: node.op.rounding(&infos), want, sizes }
    }

    /// How far from it a device's results are.
    pub fn judge(&self, got: &[Values]) -> Deviation {
        let results = got.iter().zip(self.want.iter().zip(&self.sizes)).enumerate();
        let each = results.map(|(result, (got, (want, sizes)))| {
            deviation(got, want, sizes, self.rounding, self.node.op.float_words(result))
        });
        each.fold(Deviation::NONE, Deviation::worse)
    }
}

/// The magnitudes of a node's results, given every tensor of its graph.
pub fn magnitudes(graph: &Graph, node: &Node, all: &[Values<f64>]) -> Vec<Values<f64>> {
    let args: Vec<In<f64>> = node.x.iter().map(|&t| all[t.index()].arg(0, graph.shape(t))).collect();
    let mut sizes: Vec<Values<f64>> = node.y.iter().map(|y| all[y.index()].clone()).collect();
    node.op.magnitude(&args, &mut sizes.iter_mut().map(Values::result).collect::<Vec<Out<f64>>>());
    sizes
}

/// One tensor compared with the oracle's; words agree to the bit, except for those that hold floats.
pub fn deviation(
    got: &Values,
    want: &Values<f64>,
    sizes: &Values<f64>,
    rounding: Rounding,
    float_words: Range<usize>,
) -> Deviation {
    match (got, want, sizes) {
        (Values::Float(got), Values::Float(want), Values::Float(sizes)) if got.len() == want.len() => {
            // Below the smallest normal number a device may flush to zero.
            let tolerance = |size: f64| rounding.tolerance(size.abs()) + f64::from(f32::MIN_POSITIVE);
            let each = got.iter().zip(want.iter().zip(sizes));
            let each = each.map(|(&got, (&want, &size))| Deviation::of(got.into(), want, tolerance(size)));
            each.fold(Deviation::NONE, Deviation::worse)
        }
        (Values::Word(got), Values::Word(want), Values::Word(sizes)) if got.len() == want.len() => {
            let each = got.iter().zip(want).zip(sizes).enumerate();
            let each = each.map(|(at, ((&got, &want), &size))| match float_words.contains(&at) {
                true => {
                    let [got, want, size] = [got, want, size].map(|word| f64::from(f32::from_bits(word)));
                    Deviation::of(got, want, rounding.tolerance(size.abs()))
                }
                false => Deviation::of(got.into(), want.into(), 0.0),
            });
            each.fold(Deviation::NONE, Deviation::worse)
        }
        _ => Deviation { error: f64::INFINITY, tolerance: 0.0, passed: false },
    }
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

    #[test]
    fn other_sizes_and_other_words_fail() {
        let words = |w: &[u32]| Values::Word(w.to_vec());
        let check = |got: &[u32], want: &[u32], floats| {
            let want = Values::Word(want.to_vec());
            let one = Rounding { terms: 0, ulps: 2.0 };
            deviation(&words(got), &want, &want, one, floats).passed
        };
        assert!(check(&[1, 2], &[1, 2], 0..0));
        assert!(!check(&[1, 2], &[1, 3], 0..0));
        assert!(!check(&[1], &[1, 3], 0..0));
        let near = [1.0f32.to_bits(), 1.0f32.to_bits() + 1];
        assert!(check(&near[..1], &near[1..], 0..1) && !check(&near[..1], &near[1..], 0..0));
    }
}
