//! Error bounds of single precision in a long chain of steps: a number that carries the bound of its own error.

use crate::ops::prelude::*;
use std::cmp::Ordering;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// A value, and a bound of the error that it has in single precision, in units of the roundoff 2⁻²⁴: each operation hands on the
/// errors of its operands, to first order, and adds its own rounding, at the accuracy that WGSL states. A reference that runs
/// on these numbers tells the error of every result (running error analysis: Higham, 2002, section 3.3).
#[derive(Clone, Copy, Debug)]
pub struct Bounded {
    value: f64,
    error: f64,
}

impl Bounded {
    fn new(value: f64, handed_on: f64, ulps: f64) -> Self {
        Bounded { value, error: handed_on + ulps * value.abs() }
    }
}

impl Add for Bounded {
    type Output = Self;
    fn add(self, b: Self) -> Self {
        Bounded::new(self.value + b.value, self.error + b.error, 1.0)
    }
}

impl Sub for Bounded {
    type Output = Self;
    fn sub(self, b: Self) -> Self {
        self + -b
    }
}

impl Mul for Bounded {
    type Output = Self;
    fn mul(self, b: Self) -> Self {
        Bounded::new(self.value * b.value, self.value.abs() * b.error + b.value.abs() * self.error, 1.0)
    }
}

impl Div for Bounded {
    type Output = Self;
    fn div(self, b: Self) -> Self {
        let value = self.value / b.value;
        Bounded::new(value, (self.error + value.abs() * b.error) / b.value.abs(), 2.5)
    }
}

impl Neg for Bounded {
    type Output = Self;
    fn neg(self) -> Self {
        Bounded { value: -self.value, ..self }
    }
}

impl AddAssign for Bounded {
    fn add_assign(&mut self, b: Self) {
        *self = *self + b;
    }
}

impl SubAssign for Bounded {
    fn sub_assign(&mut self, b: Self) {
        *self = *self - b;
    }
}

impl PartialEq for Bounded {
    fn eq(&self, b: &Self) -> bool {
        self.value == b.value
    }
}

impl PartialOrd for Bounded {
    fn partial_cmp(&self, b: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&b.value)
    }
}

impl Real for Bounded {
    fn of(x: f64) -> Self {
        Bounded { value: x, error: 0.0 }
    }
    fn f64(self) -> f64 {
        self.value
    }
    fn exp(self) -> Self {
        let value = self.value.exp();
        Bounded::new(value, value * self.error, 3.0 + 2.0 * self.value.abs())
    }
    fn ln(self) -> Self {
        Bounded { value: self.value.ln(), error: self.error / self.value.abs() + 8.0 + 3.0 * self.value.ln().abs() }
    }
    fn sqrt(self) -> Self {
        let value = self.value.sqrt();
        Bounded::new(value, self.error / (2.0 * value).max(f64::MIN_POSITIVE), 2.5)
    }
    fn is_finite(self) -> bool {
        self.value.is_finite()
    }
    fn run(op: &dyn Op, _: &[In<Self>], _: &mut [Out<Self>], _: bool) {
        unreachable!("{}: bounds are computed by an op itself, not on a device", op.name())
    }
}

/// The bounds of an op's results, for its `magnitude`: its reference run on numbers that carry theirs.
pub fn bounds(op: &impl Reference, x: &[In<f64>], y: &mut [Out<f64>]) {
    use crate::ir::op::Elements;
    let floats = |x: &In<f64>| match x.elements {
        Elements::Float(x) => x.iter().map(|&x| Bounded::of(x)).collect(),
        _ => Vec::new(),
    };
    let wide: Vec<Vec<Bounded>> = x.iter().map(floats).collect();
    let x: Vec<In<Bounded>> = (x.iter().zip(&wide))
        .map(|(x, wide)| {
            let elements = match x.elements {
                Elements::Float(_) => Elements::Float(&wide[..]),
                Elements::Word(x) => Elements::Word(x),
                Elements::Byte(x) => Elements::Byte(x),
            };
            In { shape: x.shape, elements }
        })
        .collect();
    let mut results: Vec<Vec<Bounded>> = y.iter_mut().map(|y| vec![Bounded::of(0.0); y.floats().len()]).collect();
    op.reference(&x, &mut results.iter_mut().map(|y| Out::Float(y)).collect::<Vec<_>>());
    for (y, bounds) in y.iter_mut().zip(results) {
        y.floats().iter_mut().zip(bounds).for_each(|(y, bound)| *y = bound.error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_handed_on() {
        let [a, b] = [3.0, 0.5].map(|value| Bounded { value, error: 1.0 });
        assert_eq!((a + b).error, 2.0 + 3.5);
        assert_eq!((a * b).error, 3.5 + 1.5);
        assert_eq!((a / b).error, (1.0 + 6.0) / 0.5 + 15.0);
        assert_eq!((-a).error, 1.0);
        assert_eq!(a.exp().error, a.value.exp() * (1.0 + 9.0));
    }
}
