//! The exponential moving average of the weights, with a warm-up in which it follows them faster.

use crate::ops::optim::PIECE;
use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    EMA = "optim/ema",
}

/// The arguments are the control block and the parameters `[n]`; updated in place is their average `[n]`:
/// `e ← d·e + (1 - d)·θ` with `d = min(decay, (1 + t) / (10 + t))`, where t counts the updates before this one, as
/// TensorFlow's `ExponentialMovingAverage` has it. A step without a valid sample changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Ema {
    /// How much of the average stays, at most.
    pub decay: f64,
}

impl Ema {
    /// The share of the new weights: 1 - d.
    fn share(&self, step: u32) -> f64 {
        (1.0 - self.decay).max(9.0 / (10.0 + f64::from(step)))
    }
}

impl Reference for Ema {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let control = Control::read(x[0].words());
        if control.valid == 0 {
            return;
        }
        let share = F::of(self.share(control.step));
        let weights = y[0].floats().par_chunks_mut(PIECE).zip(x[1].floats().par_chunks(PIECE));
        weights.for_each(|(average, p)| average.iter_mut().zip(p).for_each(|(e, p)| *e += share * (*p - *e)));
    }
}

impl Op for Ema {
    fn name(&self) -> &'static str {
        "ema"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, params] = arguments(x)?;
        Ok(vec![TensorInfo::floats("ema", params.shape.clone())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.x[1]).div_ceil(4);
        let launch = cx.kernel(EMA, &[])?.size("count", count).set("rest", 1.0 - self.decay);
        let launch = launch.bind("control", cx.x[0]).bind("params", cx.x[1]);
        cx.invocations(launch.bind("average", cx.y[0]), count)
    }

    /// A quotient at 2.5 ULP, and a rounding for each of the other operations.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 8.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        for (e, p) in y[0].floats().iter_mut().zip(x[1].floats()) {
            *e = e.abs() + (p.abs() + e.abs());
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |n: usize, decay, step, valid| {
        let control = Control { step, valid, samples: 100, ..Control::default() };
        let case = Case::new(Ema { decay }).words([Control::WORDS], control.words()).random([n]);
        case.seed(2).random([n]).in_place()
    };
    vec![
        case(1, 0.999, 0, 1),
        case(1027, 0.999, 37, 16),
        case(513, 0.5, 1000, 3),
        case(5, 0.999, 4, 0),
        case(64, 0.0, 0, 1),
    ]
}
