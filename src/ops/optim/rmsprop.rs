//! RMSprop over one arena of all parameters, in PyTorch's form, not centred.

use crate::ir::values::Values;
use crate::ops::optim::{faults, update, updated};
use crate::ops::prelude::*;
use crate::ops::vectors::each;
use crate::step::control::Control;
use crate::step::nonfinite;

kernels! {
    RMSPROP = "optim/rmsprop",
}

/// The arguments are the control block and the gradients; updated in place are the parameters, the average of squared
/// gradients and the velocity, all `[n]`, and the fault `[1]`, which gains the bits of [`crate::step::nonfinite`]. A step without
/// a valid sample changes nothing. Tieleman and Hinton (2012).
#[derive(Clone, Copy, Debug)]
pub struct Rmsprop {
    /// How much of the average of squared gradients stays.
    pub alpha: f64,
    /// ε, added to the root of that average.
    pub epsilon: f64,
    /// How much of the last velocity stays.
    pub momentum: f64,
    /// Decay: added to the gradient as l2·θ.
    pub l2: f64,
}

impl Reference for Rmsprop {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let [alpha, rest, momentum, epsilon] = [self.alpha, 1.0 - self.alpha, self.momentum, self.epsilon].map(F::of);
        update(x, y, self.l2, |control, g, [p, s, b]| {
            let rate = F::of(control.rate.into());
            each!([g] => [p, s, b] {
                let s = alpha * s + rest * g * g;
                let b = momentum * b + g / (s.sqrt() + epsilon);
                (p - rate * b, s, b)
            });
            faults(&[(g, nonfinite::GRADIENT), (p, nonfinite::PARAMETER), (s, nonfinite::STATE), (b, nonfinite::STATE)])
        });
    }
}

impl Op for Rmsprop {
    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        updated(x, &["square_avg", "velocity"])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.x[1]).div_ceil(4);
        let launch = cx.kernel(RMSPROP, &[])?.size("count", count).set("alpha", self.alpha);
        let launch = launch.set("rest", 1.0 - self.alpha).set("epsilon", self.epsilon);
        let launch = launch.set("momentum", self.momentum).set("l2", self.l2).bind("control", cx.x[0]);
        let launch = launch.bind("grads", cx.x[1]).bind("params", cx.y[0]).bind("square_average", cx.y[1]);
        cx.invocations(launch.bind("velocity", cx.y[2]).bind("fault", cx.y[3]), count)
    }

    /// A quotient at 2.5 ULP, a root, and a rounding for each of the other operations.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 1, ulps: 16.0 }
    }

    /// Each result with all its terms taken as positive, except for the root, which divides them.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let rate = f64::from(Control::read(x[0].words()).rate);
        let [p, s, b, _] = results(y);
        let (p, s, b) = (p.floats(), s.floats(), b.floats());
        for (i, g) in x[1].floats().iter().enumerate() {
            let (g, size) = (g + self.l2 * p[i], g.abs() + self.l2 * p[i].abs());
            let root = (self.alpha * s[i] + (1.0 - self.alpha) * g * g).sqrt() + self.epsilon;
            s[i] = self.alpha * s[i] + (1.0 - self.alpha) * size * size;
            b[i] = self.momentum * b[i].abs() + size / root;
            p[i] = p[i].abs() + rate * b[i];
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |n: usize, momentum, l2, valid| {
        let control = Control { rate: 0.01, valid, ..Control::default() };
        let op = Rmsprop { alpha: 0.99, epsilon: 1e-8, momentum, l2 };
        let case = Case::new(op).words([Control::WORDS], control.words()).random([n]).random([n]).in_place();
        let mut case = case.seed(2).random([n]).in_place().seed(3).random([n]).in_place();
        if let Values::Float(s) = &mut case.y[1].1 {
            s.iter_mut().for_each(|s| *s = *s * *s * 0.01);
        }
        case.words([1], vec![n as u32 % 2 * nonfinite::STATE]).in_place()
    };
    vec![
        case(1, 0.0, 0.0, 1),
        case(1027, 0.9, 0.0, 16),
        case(513, 0.5, 0.01, 3),
        case(64, 0.0, 0.1, 2),
        case(6, 0.9, 0.0, 0),
    ]
}
