//! The activation that an op ends with: none, ReLU, or one of the table.

use crate::ops::pointwise::activation::{Activation, ULPS};
use crate::ops::pointwise::activation_dx::ActivationDx;
use crate::ops::pointwise::fast;
use crate::ops::pointwise::relu::Relu;
use crate::ops::pointwise::relu_dx::ReluDx;
use crate::ops::prelude::*;
use std::any::Any;

/// The kernels' numbers of ReLU and of no activation, beyond those of the table.
const RELU: u32 = 100;
const NOTHING: u32 = 101;

/// The activation of an op's sums before they are stored. Kernels have it in `lib/activation`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Then {
    /// They stay as they are.
    #[default]
    Nothing,
    /// max(·, 0).
    Relu,
    /// An activation of the table.
    Apply(Activation),
}

impl Then {
    /// The activation that an op is; none if it is another op.
    pub fn of(op: &dyn Any) -> Option<Then> {
        match op.downcast_ref::<Activation>() {
            Some(&activation) => Some(Then::Apply(activation)),
            None => op.is::<Relu>().then_some(Then::Relu),
        }
    }

    /// Whether the derivative can be computed from the result, so that a gradient does not need the sum before it.
    pub fn by_result(self) -> bool {
        match self {
            Then::Nothing | Then::Relu => true,
            Then::Apply(activation) => activation.by_result(),
        }
    }

    /// The gradient of the sum from that of the result and the result itself.
    ///
    /// # Errors
    /// [`Error::Failed`] if the derivative needs the sum.
    pub fn backward(self, graph: &mut Graph, dy: Tensor, y: Tensor) -> crate::Result<Tensor> {
        match self {
            Then::Nothing => Ok(dy),
            Then::Relu => Ok(graph.apply(ReluDx, &[dy, y])?[0]),
            Then::Apply(activation) if activation.by_result() => {
                Ok(graph.apply(ActivationDx(activation), &[dy, y])?[0])
            }
            Then::Apply(Activation { function, .. }) => Err(Error::failed(format!(
                "found {} within the op before it, expected an op of its own: its gradient needs its argument",
                function.name()
            ))),
        }
    }

    /// Its value.
    pub(in crate::ops) fn value<F: Real>(self, x: F) -> F {
        match self {
            Then::Relu if x < F::of(0.0) => F::of(0.0),
            Then::Nothing | Then::Relu => x,
            Then::Apply(Activation { function, slope }) => fast::value(function, x, slope),
        }
    }

    /// Applies it to the elements of `y`.
    pub(in crate::ops) fn apply<F: Real>(self, y: &mut [F]) {
        let zero = F::of(0.0);
        match self {
            Then::Nothing => {}
            // A loop of numbers alone.
            Then::Relu => y.iter_mut().for_each(|y| *y = if *y < zero { zero } else { *y }),
            Then::Apply(_) => y.iter_mut().for_each(|y| *y = self.value(*y)),
        }
    }

    /// Sets it in a launch of a kernel that uses `lib/activation`.
    pub(in crate::ops) fn set(self, launch: Launch) -> Launch {
        let (kind, slope) = match self {
            Then::Relu => (RELU, 0.0),
            Then::Nothing => (NOTHING, 0.0),
            Then::Apply(Activation { function, slope }) => (function as u32, slope),
        };
        launch.set("kind", kind).set("slope", slope)
    }

    /// The parameter of kernels that use `lib/activation_lanes`: whether it is in the table.
    pub(in crate::ops) fn in_table(self) -> (&'static str, i64) {
        ("A", matches!(self, Then::Apply(_)).into())
    }

    /// Roundings of the op that ends with it, beside those of its sum.
    pub(in crate::ops) fn ulps(self) -> f64 {
        match self {
            Then::Nothing | Then::Relu => 1.0,
            Then::Apply(_) => 1.0 + ULPS,
        }
    }

    /// What the roundings of an op that ends with it scale with, given in `y` what those of `plain`, the op without it, do.
    /// An error of the sum grows by the steepest slope at most, and the activation adds its own.
    pub(in crate::ops) fn magnitude(self, plain: &impl Reference, x: &[In<f64>], y: &mut [Out<f64>]) {
        let (Then::Apply(activation), [y, others @ ..]) = (self, y) else { return };
        let mut z = vec![0.0; y.floats().len()];
        let mut others: Vec<Vec<f64>> = others.iter_mut().map(|y| vec![0.0; y.floats().len()]).collect();
        let z_and_others = std::iter::once(&mut z).chain(&mut others);
        plain.reference(x, &mut z_and_others.map(|y| Out::Float(y)).collect::<Vec<_>>());
        for (y, z) in y.floats().iter_mut().zip(z) {
            *y = activation.steepest() * *y + activation.function.value_size(z, activation.slope);
        }
    }
}

/// No activation, ReLU, and every function of the table: what the cases of an op end with.
pub(in crate::ops) fn every() -> impl Iterator<Item = Then> {
    let own = crate::ops::pointwise::activation::each().map(Then::Apply);
    [Then::Nothing, Then::Relu].into_iter().chain(own)
}
