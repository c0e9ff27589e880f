//! The running statistics of a batch normalisation, moved towards those of a batch.

use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    BATCH_NORM_UPDATE = "norm/batch_norm_update",
}

/// The arguments are the control block and the mean and biased variance of the valid samples, `[C]`; updated in place
/// are the running mean and the running variance, `[C]`: `r ← (1 - momentum)·r + momentum·new`, where the new variance
/// is the unbiased one, as in PyTorch. One row alone has none: both stay then (PyTorch refuses it).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormUpdate {
    /// The share of the batch.
    pub momentum: f64,
    /// Rows of a sample.
    pub places: usize,
}

impl Reference for BatchNormUpdate {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let rows = Control::read(x[0].words()).valid as usize * self.places;
        if rows < 2 {
            return;
        }
        let (momentum, rest) = (F::of(self.momentum), F::of(1.0 - self.momentum));
        let unbiased = F::of(rows as f64 / (rows - 1) as f64);
        for (y, (x, factor)) in y.iter_mut().zip([(&x[1], F::of(1.0)), (&x[2], unbiased)]) {
            for (y, x) in y.floats().iter_mut().zip(x.floats()) {
                *y = rest * *y + momentum * (*x * factor);
            }
        }
    }
}

impl Op for BatchNormUpdate {
    fn name(&self) -> &'static str {
        "batch_norm_update"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, mean, variance] = arguments(x)?;
        let [c] = axes(mean)?;
        crate::ops::norm::columns::per_channel(c, &[variance])?;
        Ok(vec![TensorInfo::floats("running_mean", [c]), TensorInfo::floats("running_var", [c])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let channels = cx.elements(cx.x[1]);
        let launch = cx.kernel(BATCH_NORM_UPDATE, &[])?.size("channels", channels).size("places", self.places);
        let launch = launch.set("momentum", self.momentum).bind("control", cx.x[0]).bind("mean", cx.x[1]);
        let launch = launch.bind("variance", cx.x[2]).bind("running_mean", cx.y[0]);
        cx.invocations(launch.bind("running_var", cx.y[1]), channels)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 16.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        y.iter_mut().for_each(|y| y.floats().iter_mut().for_each(|y| *y = y.abs()));
        let absolute = |x: &In<f64>| x.floats().iter().map(|x| x.abs()).collect::<Vec<_>>();
        let (mean, variance) = (absolute(&x[1]), absolute(&x[2]));
        let of = |i: usize, values| In { shape: x[i].shape, elements: crate::ir::op::Elements::Float(values) };
        self.reference(&[x[0], of(1, &mean), of(2, &variance)], y);
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |c: usize, valid, places, momentum| {
        let control = Control { valid, samples: 1000, ..Control::default() };
        let case = Case::new(BatchNormUpdate { momentum, places }).words([Control::WORDS], control.words());
        let case = case.random([c]).floats([c], (0..c).map(|c| c as f32 * 0.4).collect());
        case.random([c]).in_place().seed(2).random([c]).in_place()
    };
    vec![case(1, 1, 1, 0.1), case(67, 2, 1, 0.1), case(130, 17, 49, 0.5), case(9, 100, 676, 1.0), case(5, 3, 2, 0.0)]
}
