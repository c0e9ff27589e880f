//! Adadelta over one arena of all parameters, in PyTorch's form.

use crate::ir::values::Values;
use crate::ops::optim::{faults, update, updated};
use crate::ops::prelude::*;
use crate::ops::vectors::each;
use crate::step::control::Control;
use crate::step::nonfinite;

kernels! {
    ADADELTA = "optim/adadelta",
}

/// The arguments are the control block and the gradients; updated in place are the parameters, the averages of squared
/// gradients and of squared steps, all `[n]`, and the fault `[1]`, which gains the bits of [`crate::step::nonfinite`].
/// A step without a valid sample changes nothing. Zeiler (2012).
#[derive(Clone, Copy, Debug)]
pub struct Adadelta {
    /// ρ: how much of both averages stays.
    pub rho: f64,
    /// ε, added to both averages before their roots are taken.
    pub epsilon: f64,
    /// Decay: added to the gradient as l2·θ.
    pub l2: f64,
}

impl Reference for Adadelta {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (rho, rest, epsilon) = (F::of(self.rho), F::of(1.0 - self.rho), F::of(self.epsilon));
        update(x, y, self.l2, |control, g, [p, s, a]| {
            let rate = F::of(control.rate.into());
            each!([g] => [p, s, a] {
                let s = rho * s + rest * g * g;
                let d = (a + epsilon).sqrt() / (s + epsilon).sqrt() * g;
                (p - rate * d, s, rho * a + rest * d * d)
            });
            faults(&[(g, nonfinite::GRADIENT), (p, nonfinite::PARAMETER), (s, nonfinite::STATE), (a, nonfinite::STATE)])
        });
    }
}

impl Op for Adadelta {
    fn name(&self) -> &'static str {
        "adadelta"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        updated(x, &["square_avg", "acc_delta"])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.x[1]).div_ceil(4);
        let launch = cx.kernel(ADADELTA, &[])?.size("count", count).set("rho", self.rho).set("rest", 1.0 - self.rho);
        let launch = launch.set("epsilon", self.epsilon).set("l2", self.l2).bind("control", cx.x[0]);
        let launch = launch.bind("grads", cx.x[1]).bind("params", cx.y[0]).bind("square_average", cx.y[1]);
        cx.invocations(launch.bind("delta_average", cx.y[2]).bind("fault", cx.y[3]), count)
    }

    /// A quotient at 2.5 ULP, two roots, and a rounding for each of the other operations, most of them twice in d².
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 1, ulps: 28.0 }
    }

    /// Each result with all its terms taken as positive, except for the root that divides them.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let rate = f64::from(Control::read(x[0].words()).rate);
        let [p, s, a, _] = results(y);
        let (p, s, a, rest) = (p.floats(), s.floats(), a.floats(), 1.0 - self.rho);
        for (i, g) in x[1].floats().iter().enumerate() {
            let (g, size) = (g + self.l2 * p[i], g.abs() + self.l2 * p[i].abs());
            let root = (self.rho * s[i] + rest * g * g + self.epsilon).sqrt();
            let d = (a[i] + self.epsilon).sqrt() / root * size;
            s[i] = self.rho * s[i] + rest * size * size;
            a[i] = self.rho * a[i] + rest * d * d;
            p[i] = p[i].abs() + rate * d;
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |n: usize, rho, l2, valid| {
        let control = Control { rate: 1.0, valid, ..Control::default() };
        let op = Adadelta { rho, epsilon: 1e-6, l2 };
        let case = Case::new(op).words([Control::WORDS], control.words()).random([n]).random([n]).in_place();
        let mut case = case.seed(2).random([n]).in_place().seed(3).random([n]).in_place();
        for (_, values) in &mut case.y[1..3] {
            if let Values::Float(values) = values {
                values.iter_mut().for_each(|value| *value = *value * *value * 0.01);
            }
        }
        case.words([1], vec![n as u32 % 2 * nonfinite::STATE]).in_place()
    };
    vec![case(1, 0.9, 0.0, 1), case(1027, 0.9, 0.01, 16), case(64, 0.5, 0.1, 2), case(6, 0.9, 0.0, 0)]
}
