//! Lion over one arena of all parameters: a step of the same size for every weight, by the sign of a momentum.

use crate::ops::optim::{faults, update, updated};
use crate::ops::prelude::*;
use crate::ops::vectors::each;
use crate::step::control::Control;
use crate::step::nonfinite;

kernels! {
    LION = "optim/lion",
}

/// The arguments are the control block and the gradients; updated in place are the parameters and the momentum, all
/// `[n]`, and the fault `[1]`, which gains the bits of [`crate::step::nonfinite`]. A step without a valid sample changes nothing.
/// Chen et al. (2023), algorithm 2.
#[derive(Clone, Copy, Debug)]
pub struct Lion {
    /// β₁, of the direction, and β₂, of the momentum that is kept.
    pub betas: [f64; 2],
    /// Decay: θ shrinks by rate·decay per step, decoupled from the gradient.
    pub decay: f64,
}

/// -1, 0 or 1; 0 of NaN, which the gradient's own test finds.
fn sign<F: Real>(x: F) -> F {
    F::of(f64::from(i8::from(x > F::of(0.0)) - i8::from(x < F::of(0.0))))
}

impl Reference for Lion {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([beta1, beta2], decay) = (self.betas.map(F::of), F::of(self.decay));
        let [rest1, rest2] = self.betas.map(|beta| F::of(1.0 - beta));
        update(x, y, 0.0, |control, g, [p, m]| {
            let rate = F::of(control.rate.into());
            each!([g] => [p, m] {
                let direction = sign(beta1 * m + rest1 * g);
                (p - rate * (direction + decay * p), beta2 * m + rest2 * g)
            });
            faults(&[(g, nonfinite::GRADIENT), (p, nonfinite::PARAMETER), (m, nonfinite::STATE)])
        });
    }
}

impl Op for Lion {
    fn name(&self) -> &'static str {
        "lion"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        updated(x, &["m"])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.x[1]).div_ceil(4);
        let [beta1, beta2] = self.betas;
        let launch = cx.kernel(LION, &[])?.size("count", count).set("beta1", beta1).set("beta2", beta2);
        let launch = launch.set("rest1", 1.0 - beta1).set("rest2", 1.0 - beta2).set("decay", self.decay);
        let launch = launch.bind("control", cx.x[0]).bind("grads", cx.x[1]).bind("params", cx.y[0]);
        cx.invocations(launch.bind("momentum", cx.y[1]).bind("fault", cx.y[2]), count)
    }

    /// Where the direction is next to 0 its sign is a matter of rounding; no case comes near it.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 6.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let rate = f64::from(Control::read(x[0].words()).rate);
        let [p, m, _] = results(y);
        let (p, m) = (p.floats(), m.floats());
        for (i, g) in x[1].floats().iter().enumerate() {
            p[i] = p[i].abs() + rate * (1.0 + self.decay * p[i].abs());
            m[i] = m[i].abs() + g.abs();
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |n: usize, decay, valid| {
        let control = Control { rate: 0.01, valid, ..Control::default() };
        let case = Case::new(Lion { betas: [0.9, 0.99], decay }).words([Control::WORDS], control.words()).random([n]);
        let mut case = case.random([n]).in_place().seed(2).random([n]).in_place();
        // Momenta of the size of a gradient's share, so that either may win, and a place where both are nothing.
        if let crate::ir::values::Values::Float(m) = &mut case.y[1].1 {
            m.iter_mut().for_each(|m| *m *= 0.1);
            m[n - 1] = 0.0;
        }
        if let crate::ir::values::Values::Float(g) = &mut case.x[1].1 {
            g[n - 1] = 0.0;
        }
        case.words([1], vec![n as u32 % 2 * nonfinite::STATE]).in_place()
    };
    vec![case(1, 0.0, 1), case(1027, 0.0, 16), case(513, 0.1, 3), case(6, 0.1, 0)]
}
