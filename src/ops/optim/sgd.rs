//! Stochastic gradient descent with momentum, Nesterov's too, over one arena of all parameters, in PyTorch's form.

use crate::ops::optim::{faults, update, updated};
use crate::ops::prelude::*;
use crate::ops::vectors::each;
use crate::step::control::Control;
use crate::step::nonfinite;

kernels! {
    SGD = "optim/sgd",
}

/// The arguments are the control block and the gradients; updated in place are the parameters and the velocity,
/// and the fault `[1]`, which gains the bits of [`crate::step::nonfinite`]. A step without a valid sample changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// How much of the last velocity stays.
    pub momentum: f64,
    /// Decay: added to the gradient as l2·θ.
    pub l2: f64,
    /// Whether a step goes along the velocity that the next one would have (Nesterov).
    pub nesterov: bool,
}

impl Reference for Sgd {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let [momentum, l2] = [self.momentum, self.l2].map(F::of);
        update(x, y, 0.0, |control, g, [p, v]| {
            let rate = F::of(control.rate.into());
            each!([g] => [p, v] {
                let decay = l2 * p;
                let v = momentum * v + g + decay;
                (p - rate * if self.nesterov { g + decay + momentum * v } else { v }, v)
            });
            faults(&[(g, nonfinite::GRADIENT), (p, nonfinite::PARAMETER), (v, nonfinite::STATE)])
        });
    }
}

impl Op for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        updated(x, &["velocity"])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.x[1]).div_ceil(4);
        let launch = cx.kernel(SGD, &[])?.size("count", count);
        let launch = launch.set("momentum", self.momentum).set("l2", self.l2).bind("control", cx.x[0]);
        let launch = launch.bind("grads", cx.x[1]).bind("params", cx.y[0]).bind("velocity", cx.y[1]);
        let launch = if self.nesterov { launch.set("nesterov", 1) } else { launch };
        cx.invocations(launch.bind("fault", cx.y[2]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 3, ulps: 4.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let rate = f64::from(Control::read(x[0].words()).rate);
        let [p, v, _] = results(y);
        let (p, v) = (p.floats(), v.floats());
        for (i, g) in x[1].floats().iter().enumerate() {
            v[i] = self.momentum * v[i].abs() + g.abs() + self.l2 * p[i].abs();
            let ahead = if self.nesterov { g.abs() + self.l2 * p[i].abs() } else { 0.0 };
            p[i] = p[i].abs() + rate * (v[i] + ahead);
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |n: usize, momentum, l2, nesterov, valid| {
        let control = Control { rate: 0.01, valid, ..Control::default() };
        let case = Case::new(Sgd { momentum, l2, nesterov }).words([Control::WORDS], control.words()).random([n]);
        let case = case.random([n]).in_place().seed(2).random([n]).in_place();
        case.words([1], vec![n as u32 % 2 * nonfinite::STATE]).in_place()
    };
    let plain = |n, momentum, l2| case(n, momentum, l2, false, 1);
    let mut cases = vec![plain(1, 0.0, 0.0), plain(1027, 0.9, 0.0), plain(513, 0.9, 0.01)];
    cases.extend([case(1, 0.5, 0.0, true, 1), case(1027, 0.9, 0.01, true, 7), case(6, 0.9, 0.01, true, 0)]);
    cases
}
