//! Adam and AdamW over one arena of all parameters, in PyTorch's form.

use crate::ir::values::Values;
use crate::ops::optim::{faults, update, updated};
use crate::ops::prelude::*;
use crate::ops::vectors::each;
use crate::step::control::Control;
use crate::step::nonfinite;

kernels! {
    ADAM = "optim/adam",
}

/// The arguments are the control block and the gradients; updated in place are the parameters and both moments,
/// all `[n]`, and the fault `[1]`, which gains the bits of [`crate::step::nonfinite`]. A step without a valid
/// sample changes nothing. Kingma and Ba (2015), Loshchilov and Hutter (2019).
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// β₁ and β₂.
    pub betas: [f64; 2],
    /// ε, added to √v̂.
    pub epsilon: f64,
    /// Adam's decay: added to the gradient as l2·θ.
    pub l2: f64,
    /// AdamW's decay: θ shrinks by rate·decay per step, decoupled from the gradient.
    pub decay: f64,
}

impl Adam {
    /// One element's new (θ, m, v) from (g, θ, m, v).
    #[inline(always)]
    fn step<F: Real>(&self, c: &Control, [g, p, m, v]: [F; 4]) -> (F, F, F) {
        let of = F::of;
        let (rate, c1, c2) = (of(c.rate.into()), of(c.correction1.into()), of(c.correction2.into()));
        let m = of(self.betas[0]) * m + of(1.0 - self.betas[0]) * g;
        let v = of(self.betas[1]) * v + of(1.0 - self.betas[1]) * g * g;
        let step = (m / c1) / ((v / c2).sqrt() + of(self.epsilon));
        (p - rate * of(self.decay) * p - rate * step, m, v)
    }
}

impl Reference for Adam {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        update(x, y, self.l2, |control, g, [p, m, v]| {
            each!([g] => [p, m, v] { self.step(control, [g, p, m, v]) });
            faults(&[(g, nonfinite::GRADIENT), (p, nonfinite::PARAMETER), (v, nonfinite::STATE)])
        });
    }
}

impl Op for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        updated(x, &["m", "v"])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.x[1]).div_ceil(4);
        let [beta1, beta2] = self.betas;
        let launch = cx.kernel(ADAM, &[])?.size("count", count).set("beta1", beta1).set("beta2", beta2);
        let launch = launch.set("rest1", 1.0 - beta1).set("rest2", 1.0 - beta2).set("epsilon", self.epsilon);
        let launch = launch.set("l2", self.l2).set("decay", self.decay).bind("control", cx.x[0]);
        let launch = launch.bind("grads", cx.x[1]).bind("params", cx.y[0]);
        let launch = launch.bind("first_moment", cx.y[1]).bind("second_moment", cx.y[2]);
        cx.invocations(launch.bind("fault", cx.y[3]), count)
    }

    /// Two quotients at 2.5 ULP each, a root, and a rounding for each of the other operations.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 1, ulps: 16.0 }
    }

    /// Each result with all its terms taken as positive.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let (c, grads) = (Control::read(x[0].words()), x[1].floats());
        let [p, m, v, _] = results(y);
        let (p, m, v) = (p.floats(), m.floats(), v.floats());
        for (i, g) in grads.iter().enumerate() {
            let (size, g) = (p[i].abs(), g.abs() + self.l2 * p[i].abs());
            let (shrunk, m_size, v_size) = self.step(&c, [g, size, m[i].abs(), v[i]]);
            let update = (size - shrunk).abs();
            [p[i], m[i], v[i]] = [size + update, m_size, v_size];
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |n: usize, l2, decay, valid| {
        let c = Control { rate: 1e-3, valid, correction1: 0.271, correction2: 0.002_997, ..Control::default() };
        let op = Adam { betas: [0.9, 0.999], epsilon: 1e-7, l2, decay };
        let mut case = Case::new(op).words([Control::WORDS], c.words()).random([n]);
        case = case.random([n]).in_place().seed(2).random([n]).in_place().seed(3).random([n]).in_place();
        // What an earlier step has found stays.
        case = case.words([1], vec![n as u32 % 2 * nonfinite::STATE]).in_place();
        if let Values::Float(v) = &mut case.y[2].1 {
            v.iter_mut().for_each(|v| *v = *v * *v * 0.01);
        }
        case
    };
    let cases = [(1, 0.0, 0.0, 1), (1027, 0.0, 0.0, 9), (513, 0.01, 0.0, 1), (4100, 0.01, 0.01, 1), (6, 0.01, 0.01, 0)];
    cases.into_iter().map(|(n, l2, decay, valid)| case(n, l2, decay, valid)).collect()
}
