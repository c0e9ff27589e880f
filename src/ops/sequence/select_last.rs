//! The last valid place of each row.

use crate::ops::prelude::*;
use crate::ops::sequence::lengths;
use crate::ops::sequence::over_time_dx::{Over, OverTimeDx};

kernels! {
    SELECT_LAST = "sequence/select_last",
}

/// `y[b, c] = x[b, lengths[b] - 1, c]`, 0 where the length is 0. The arguments are x [B, T, C] and, if rows have lengths, lengths
/// `[B]` as words; without them all T places are valid, as they are where a length is more than T. The result is [B, C].
#[derive(Clone, Copy, Debug)]
pub struct SelectLast;

impl Reference for SelectLast {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (x, lengths) = checked(lengths::split(x));
        let ([_, times, channels], lengths) = (x.axes(), lengths.map(|lengths| lengths.words()));
        for (b, y) in y[0].floats().chunks_mut(channels).enumerate() {
            match lengths::of_row(lengths, b, times) {
                0 => y.fill(F::of(0.0)),
                length => y.copy_from_slice(&x.floats()[(b * times + length - 1) * channels..][..channels]),
            }
        }
    }
}

impl Op for SelectLast {
    fn name(&self) -> &'static str {
        "select_last"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (x, lengths) = lengths::split(x)?;
        let [batch, _, channels] = axes(x)?;
        lengths::check(lengths, batch)?;
        Ok(vec![TensorInfo::floats("select_last", [batch, channels])])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        OverTimeDx::apply(graph, Over::Last, at)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (x, lengths) = lengths::split(cx.x).map_err(Error::failed)?;
        let [batch, times, channels] = cx.axes(x)?;
        let launch = cx.kernel(SELECT_LAST, &[])?.size("batch", batch).size("times", times).size("channels", channels);
        let launch = lengths::bind(launch, lengths, x).bind("x", x).bind("y", cx.y[0]);
        cx.invocations(launch, batch * channels)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

/// B, T and C: one of each; odd ones, with every kind of length; one place.
pub(super) const SIZES: [[usize; 3]; 3] = [[1, 1, 1], [7, 9, 5], [3, 1, 70]];

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[b, t, c]: [usize; 3]| lengths::with_lengths(Case::new(SelectLast).random([b, t, c]), b, t);
    SIZES.map(case).into_iter().chain([Case::new(SelectLast).random([2, 3, 4])]).collect()
}
