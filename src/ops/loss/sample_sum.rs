//! Sums loss and correct counts of a sample's rows, so that what closes a step has one of each a sample.

use crate::ops::prelude::*;

kernels! {
    SAMPLE_SUM = "loss/sample_sum",
}

/// `loss[b] = Σ losses[b, …]` and `correct[b] = Σ corrects[b, …]`; the arguments [batch, …], the results `[batch]`. Nothing
/// flows back: a gradient begins at the losses themselves.
#[derive(Clone, Copy, Debug)]
pub struct SampleSum;

impl Reference for SampleSum {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (losses, corrects) = (x[0].floats(), x[1].words());
        let [loss, correct] = results(y);
        let places = losses.len() / loss.floats().len();
        for (loss, losses) in loss.floats().iter_mut().zip(losses.chunks(places)) {
            *loss = sums::total(losses.iter().copied());
        }
        for (correct, corrects) in correct.words().iter_mut().zip(corrects.chunks(places)) {
            *correct = corrects.iter().sum();
        }
    }
}

impl Op for SampleSum {
    fn name(&self) -> &'static str {
        "sample_sum"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [losses, corrects] = arguments(x)?;
        match losses.shape.0.first() {
            Some(&batch) if losses.shape == corrects.shape && losses.elements() > 0 => {
                Ok(vec![TensorInfo::floats("loss", [batch]), TensorInfo::words("correct", [batch])])
            }
            _ => Err("a loss and a count a row are expected, as many of both".into()),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let batch = cx.elements(cx.y[0]);
        let places = cx.elements(cx.x[0]) / batch;
        let launch = cx.kernel(SAMPLE_SUM, &[])?.size("batch", batch).size("places", places);
        let launch = launch.bind("losses", cx.x[0]).bind("corrects", cx.x[1]);
        cx.groups(launch.bind("loss", cx.y[0]).bind("correct", cx.y[1]), batch)
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let batch = x[0].shape.0.first().copied().unwrap_or(1);
        Rounding { terms: sums::terms(x[0].elements() / batch.max(1)), ulps: 1.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let shapes = [[1, 1, 1], [3, 5, 7], [2, 64, 64], [131, 1, 65]];
    let long = sums::LONG;
    let alike = Case::new(SampleSum).floats([1, long], vec![0.1; long]).below([1, long], 3);
    shapes.map(|shape| Case::new(SampleSum).random(shape).below(shape, 3)).into_iter().chain([alike]).collect()
}
