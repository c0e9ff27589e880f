//! Normalisation by the root of the mean square, over the last axis.

use crate::ops::norm::columns::{across, per_channel, rows_and_channels, split};
use crate::ops::norm::rms_norm_dx::RmsNormDx;
use crate::ops::prelude::*;

kernels! {
    RMS_NORM = "norm/rms_norm",
}

/// `y = x · scale · γ`, row by row, where a row is a sample's features, or the channels of one place. The arguments are x
/// [N, …, C] and γ `[C]`; the results y, and for the way back the scale 1 / √(mean of x² + ε) of each row,
/// `[rows]`. Zhang and Sennrich, 2019; as PyTorch's `RMSNorm`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsNorm {
    /// The constant added to the mean of the squares.
    pub epsilon: f64,
}

impl RmsNorm {
    /// Both results. `squares` sums the squares of a row.
    fn run<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>], squares: impl Fn(&[F]) -> F + Sync) {
        let [_, _, channels] = rows_and_channels(x[0].shape);
        let [y, scale] = y else { unreachable!("rms_norm declares two results") };
        let (gamma, n) = (x[1].floats(), F::of(channels as f64));
        let rows = x[0].floats().par_chunks(channels).zip(y.floats().par_chunks_mut(channels));
        rows.zip(scale.floats().par_iter_mut()).for_each(|((x, y), scale)| {
            *scale = F::of(1.0) / (squares(x) / n + F::of(self.epsilon)).sqrt();
            y.iter_mut().zip(x).zip(gamma).for_each(|((y, x), gamma)| *y = *x * *scale * *gamma);
        });
    }
}

impl Reference for RmsNorm {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.run(x, y, |x| x.iter().fold(F::of(0.0), |sum, x| sum + *x * *x));
    }
}

impl Op for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x, gamma] = arguments(x)?;
        let [n, places, c] = split(x)?;
        per_channel(c, &[gamma])?;
        Ok(vec![TensorInfo::floats("rms_norm", x.shape.clone()), TensorInfo::floats("scale", [n * places])])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None; 2]) };
        let grads = graph.apply(RmsNormDx, &[dy, at.x[0], at.x[1], at.y[1]])?;
        Ok(grads.into_iter().map(Some).collect())
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [n, places, channels] = rows_and_channels(&cx.shape(cx.x[0]));
        let launch = cx.kernel(RMS_NORM, &[])?.size("rows", n * places).size("channels", channels);
        let launch = launch.set("epsilon", self.epsilon).bind("x", cx.x[0]).bind("gamma", cx.x[1]);
        cx.groups(launch.bind("y", cx.y[0]).bind("scale", cx.y[1]), (n * places).div_ceil(8))
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        self.run(x, y, |x| across(x, x, |x, _| x * x));
    }

    /// The sum of squares, and an inverse square root, which WGSL allows two units.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let [_, _, channels] = rows_and_channels(&x[0].shape.0);
        Rounding { terms: channels, ulps: 20.0 }
    }
}

/// An image, more channels than a workgroup has invocations, a single channel, many rows, an odd row, a sequence.
pub(super) const SHAPES: [&[usize]; 6] = [&[3, 7, 6, 5], &[9, 300], &[5, 1], &[2, 26, 26, 32], &[1, 17], &[3, 11, 7]];

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(shape, times): (&[usize], f32)| {
        let mut case = Case::new(RmsNorm { epsilon: f64::from(f32::EPSILON) }).random(Shape(shape.into()));
        if let crate::ir::values::Values::Float(x) = &mut case.x[0].1 {
            x.iter_mut().for_each(|x| *x *= times);
        }
        case.random([shape.last().copied().unwrap_or(1)])
    };
    SHAPES.into_iter().zip([2.0, 1e-3, 1.0, 1.0, 1e3, 1.0]).map(case).collect()
}
