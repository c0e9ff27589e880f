//! The gradient of the reduction over the places of each row: the last of them, or their mean.

use crate::ops::prelude::*;
use crate::ops::sequence::lengths;
use crate::ops::sequence::select_last::SIZES;

kernels! {
    OVER_TIME_DX = "sequence/over_time_dx",
}

/// The reduction over a row's places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The last valid place.
    Last,
    /// The mean of the valid places.
    Mean,
}

/// `dx[b, t, c] = w·dy[b, c]`: of a mean w is `1 / lengths[b]` where t is below the length, of the last place it is 1 there; else
/// it is 0. The arguments are dy [B, C] and, if rows have lengths, lengths `[B]` as words; the result is [B, T, C].
#[derive(Clone, Copy, Debug)]
pub struct OverTimeDx {
    /// The result that was used.
    pub over: Over,
    /// T, the places of a row.
    pub times: usize,
}

impl OverTimeDx {
    /// The gradients of an op of x and, if there are any, lengths.
    pub(super) fn apply(graph: &mut Graph, over: Over, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let mut grads = vec![None; at.x.len()];
        if let Some(dy) = at.dy[0] {
            let times = graph.shape(at.x[0])[1];
            let x = [&[dy], &at.x[1..]].concat();
            grads[0] = Some(graph.apply(OverTimeDx { over, times }, &x)?[0]);
        }
        Ok(grads)
    }
}

impl Reference for OverTimeDx {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (dy, lengths) = checked(lengths::split(x));
        let ([_, channels], lengths) = (dy.axes(), lengths.map(|lengths| lengths.words()));
        y[0].floats().par_chunks_mut(channels).enumerate().for_each(|(r, dx)| {
            let (b, t) = (r / self.times, r % self.times);
            let length = lengths::of_row(lengths, b, self.times);
            let count = if self.over == Over::Mean { length } else { 1 };
            match t < length && (self.over == Over::Mean || t + 1 == length) {
                true => {
                    dx.iter_mut().zip(&dy.floats()[b * channels..]).for_each(|(dx, dy)| *dx = *dy / F::of(count as f64))
                }
                false => dx.fill(F::of(0.0)),
            }
        });
    }
}

impl Op for OverTimeDx {
    fn name(&self) -> &'static str {
        "over_time_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (dy, lengths) = lengths::split(x)?;
        let [batch, channels] = axes(dy)?;
        lengths::check(lengths, batch)?;
        Ok(vec![TensorInfo::floats("over_time_dx", [batch, self.times, channels])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (dy, lengths) = lengths::split(cx.x).map_err(Error::failed)?;
        let [batch, channels] = cx.axes(dy)?;
        let launch = cx.kernel(OVER_TIME_DX, &[])?.size("batch", batch).size("times", self.times);
        let launch = launch.size("channels", channels).set("mean", self.over == Over::Mean);
        let launch = lengths::bind(launch, lengths, dy).bind("dy", dy).bind("dx", cx.y[0]);
        cx.invocations(launch, batch * self.times * channels)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        // WGSL allows a division 2.5 units of the last place.
        Rounding { terms: 0, ulps: if self.over == Over::Mean { 6.0 } else { 0.0 } }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[b, t, c]: [usize; 3]| {
        [Over::Last, Over::Mean]
            .map(|over| lengths::with_lengths(Case::new(OverTimeDx { over, times: t }).random([b, c]), b, t))
    };
    let all = Case::new(OverTimeDx { over: Over::Mean, times: 3 }).random([2, 4]);
    SIZES.into_iter().flat_map(case).chain([all]).collect()
}
