//! Adagrad over one arena of all parameters, in PyTorch's form.

use crate::ir::values::Values;
use crate::ops::optim::{faults, update, updated};
use crate::ops::prelude::*;
use crate::ops::vectors::each;
use crate::step::control::Control;
use crate::step::nonfinite;

kernels! {
    ADAGRAD = "optim/adagrad",
}

/// The arguments are the control block and the gradients; updated in place are the parameters and the sum of squared
/// gradients, all `[n]`, and the fault `[1]`, which gains the bits of [`crate::step::nonfinite`]. A step without a valid
/// sample changes nothing. Duchi, Hazan and Singer (2011).
#[derive(Clone, Copy, Debug)]
pub struct Adagrad {
    /// ε, added to the root of that sum.
    pub epsilon: f64,
    /// Decay: added to the gradient as l2·θ.
    pub l2: f64,
}

impl Reference for Adagrad {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let epsilon = F::of(self.epsilon);
        update(x, y, self.l2, |control, g, [p, s]| {
            let rate = F::of(control.rate.into());
            each!([g] => [p, s] {
                let s = s + g * g;
                (p - rate * (g / (s.sqrt() + epsilon)), s)
            });
            faults(&[(g, nonfinite::GRADIENT), (p, nonfinite::PARAMETER), (s, nonfinite::STATE)])
        });
    }
}

impl Op for Adagrad {
    fn name(&self) -> &'static str {
        "adagrad"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        updated(x, &["sum"])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.x[1]).div_ceil(4);
        let launch = cx.kernel(ADAGRAD, &[])?.size("count", count).set("epsilon", self.epsilon).set("l2", self.l2);
        let launch = launch.bind("control", cx.x[0]).bind("grads", cx.x[1]).bind("params", cx.y[0]);
        cx.invocations(launch.bind("squares", cx.y[1]).bind("fault", cx.y[2]), count)
    }

    /// A quotient at 2.5 ULP, a root, and a rounding for each of the other operations.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 1, ulps: 16.0 }
    }

    /// Each result with all its terms taken as positive, except for the root, which divides them.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let rate = f64::from(Control::read(x[0].words()).rate);
        let [p, s, _] = results(y);
        let (p, s) = (p.floats(), s.floats());
        for (i, g) in x[1].floats().iter().enumerate() {
            let (g, size) = (g + self.l2 * p[i], g.abs() + self.l2 * p[i].abs());
            let root = (s[i] + g * g).sqrt() + self.epsilon;
            s[i] += size * size;
            p[i] = p[i].abs() + rate * size / root;
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |n: usize, epsilon, l2, valid| {
        let control = Control { rate: 0.01, valid, ..Control::default() };
        let case = Case::new(Adagrad { epsilon, l2 }).words([Control::WORDS], control.words());
        let mut case = case.random([n]).random([n]).in_place().seed(2).random([n]).in_place();
        if let Values::Float(s) = &mut case.y[1].1 {
            s.iter_mut().for_each(|s| *s = *s * *s * 0.01);
        }
        case.words([1], vec![n as u32 % 2 * nonfinite::STATE]).in_place()
    };
    vec![case(1, 1e-10, 0.0, 1), case(1027, 1e-10, 0.01, 16), case(64, 1e-2, 0.1, 2), case(6, 1e-10, 0.0, 0)]
}
