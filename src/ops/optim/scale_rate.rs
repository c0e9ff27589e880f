//! A control block with another learning rate, for parameters that are trained faster or slower than the others.

use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    SCALE_RATE = "optim/scale_rate",
}

/// The argument is the control block that updates go by; the result, written in place, is the same with its rate times `factor`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleRate {
    /// The factor.
    pub factor: f64,
}

impl Reference for ScaleRate {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let control = Control::read(x[0].words());
        let rate = control.rate * self.factor as f32;
        y[0].words().copy_from_slice(&Control { rate, ..control }.words());
    }
}

impl Op for ScaleRate {
    fn name(&self) -> &'static str {
        "scale_rate"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_] = arguments(x)?;
        Ok(vec![TensorInfo::words("control of a group", [Control::WORDS])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let launch = cx.kernel(SCALE_RATE, &[])?.set("factor", self.factor);
        cx.invocations(launch.bind("control", cx.x[0]).bind("scaled", cx.y[0]), 1)
    }

    /// Rate, corrections and weight.
    fn float_words(&self, _: usize) -> std::ops::Range<usize> {
        6..10
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 1.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |factor, rate| {
        let control = Control { key: 7, step: 3, valid: 5, rate, correction1: 0.5, ..Control::default() };
        let case = Case::new(ScaleRate { factor }).words([Control::WORDS], control.words());
        case.words([Control::WORDS], vec![7; Control::WORDS]).in_place()
    };
    vec![case(0.1, 1e-3), case(1.0, 0.3), case(20.0, 0.01)]
}
