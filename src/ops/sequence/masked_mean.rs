//! The mean over the valid places of each row.

use crate::ops::prelude::*;
use crate::ops::sequence::lengths;
use crate::ops::sequence::over_time_dx::{Over, OverTimeDx};
use crate::ops::sequence::select_last::SIZES;

kernels! {
    MASKED_MEAN = "sequence/masked_mean",
}

/// `y[b, c] = Σ x[b, t, c] / lengths[b]` over t below the length, 0 where that is 0. The arguments are x [B, T, C] and, if rows
/// have lengths, lengths `[B]` as words; without them all T places are valid, as they are where a length is more than T. The
/// result is [B, C].
#[derive(Clone, Copy, Debug)]
pub struct MaskedMean;

impl Reference for MaskedMean {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (x, lengths) = checked(lengths::split(x));
        let ([_, times, channels], lengths) = (x.axes(), lengths.map(|lengths| lengths.words()));
        let rows = y[0].floats().par_chunks_mut(channels).zip(x.floats().par_chunks(times * channels)).enumerate();
        rows.for_each(|(b, (y, x))| {
            let length = lengths::of_row(lengths, b, times);
            sums::columns(&x[..length * channels], y);
            y.iter_mut().for_each(|y| *y = *y / F::of(length.max(1) as f64));
        });
    }
}

impl Op for MaskedMean {
    fn name(&self) -> &'static str {
        "masked_mean"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (x, lengths) = lengths::split(x)?;
        let [batch, _, channels] = axes(x)?;
        lengths::check(lengths, batch)?;
        Ok(vec![TensorInfo::floats("masked_mean", [batch, channels])])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        OverTimeDx::apply(graph, Over::Mean, at)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (x, lengths) = lengths::split(cx.x).map_err(Error::failed)?;
        let [batch, times, channels] = cx.axes(x)?;
        let launch = cx.kernel(MASKED_MEAN, &[])?.size("batch", batch).size("times", times).size("channels", channels);
        let launch = lengths::bind(launch, lengths, x).bind("x", x).bind("y", cx.y[0]);
        cx.invocations(launch, batch * channels)
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: sums::terms(x[0].shape.0[1]), ulps: 4.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[b, t, c]: [usize; 3]| lengths::with_lengths(Case::new(MaskedMean).random([b, t, c]), b, t);
    let alike = Case::new(MaskedMean).floats([1, sums::LONG, 1], vec![0.1; sums::LONG]);
    SIZES.map(case).into_iter().chain([alike]).collect()
}
