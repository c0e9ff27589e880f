//! The gradients of normalisation by the root of the mean square: of its input, and of γ.

use crate::ops::norm::columns::{self, Chunks, across, per_channel, rows_and_channels, split};
use crate::ops::norm::layer_norm_dx;
use crate::ops::norm::rms_norm::SHAPES;
use crate::ops::prelude::*;

kernels! {
    RMS_NORM_DX = "norm/rms_norm_dx",
    RMS_NORM_DX_PARTIAL = "norm/rms_norm_dx_partial",
}

/// The arguments are dy, x, γ and each row's scale; the results dx and dγ. A row whose dy is 0, as those beyond the valid
/// samples have it, gets dx = 0.
#[derive(Clone, Copy, Debug)]
pub struct RmsNormDx;

impl RmsNormDx {
    /// Both results. `of` takes a value and `apart` a difference: as they are, or their magnitudes.
    fn run<F: Real>(x: &[In<F>], y: &mut [Out<F>], of: impl Fn(F) -> F + Sync, apart: impl Fn(F, F) -> F + Sync) {
        let [n, places, channels] = rows_and_channels(x[1].shape);
        let [dy, values, gamma, scale] = [0, 1, 2, 3].map(|i| x[i].floats());
        let normal = |r: usize, c: usize| of(values[r * channels + c] * scale[r]);
        let count = F::of(channels as f64);
        y[0].floats().par_chunks_mut(channels).enumerate().for_each(|(r, dx)| {
            let g = |c: usize| of(dy[r * channels + c] * gamma[c]);
            let mut with_x = F::of(0.0);
            (0..channels).for_each(|c| with_x += g(c) * normal(r, c));
            for (c, dx) in dx.iter_mut().enumerate() {
                *dx = of(scale[r]) * apart(g(c), normal(r, c) * (with_x / count));
            }
        });
        let term = |r: usize, c: usize| of(dy[r * channels + c]) * normal(r, c);
        y[1].floats().copy_from_slice(&columns::sums(n * places, channels, term));
    }
}

impl Reference for RmsNormDx {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        RmsNormDx::run(x, y, |x| x, |a, b| a - b);
    }
}

impl Op for RmsNormDx {
    fn name(&self) -> &'static str {
        "rms_norm_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, x, gamma, scale] = arguments(x)?;
        let [n, places, c] = split(x)?;
        per_channel(c, &[gamma])?;
        if dy.elements() != x.elements() || scale.elements() != n * places {
            return Err("dy of x's size and a scale for each row are expected".into());
        }
        Ok(vec![TensorInfo::floats("rms_norm_dx", x.shape.clone()), TensorInfo::floats("dgamma", [c])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [n, places, channels] = rows_and_channels(&cx.shape(cx.x[1]));
        let (rows, chunks) = (n * places, Chunks::of(n * places, channels));
        // The second of the two sums of a channel is that of a β, which there is not.
        let (partials, no_beta) = (cx.scratch(2 * chunks.chunks * channels), cx.scratch(channels));
        let launch =
            cx.kernel(RMS_NORM_DX_PARTIAL, &[])?.sizes(&chunks.sizes()).size("rows", rows).size("channels", channels);
        let launch = launch.bind("dy", cx.x[0]).bind("x", cx.x[1]).bind("scale", cx.x[3]);
        cx.groups(launch.bind("partials", partials), chunks.groups())?;
        layer_norm_dx::sum_chunks(cx, partials, chunks.chunks, channels, [cx.y[1], no_beta])?;
        let launch = cx.kernel(RMS_NORM_DX, &[])?.size("rows", rows).size("channels", channels);
        let launch = launch.bind("dy", cx.x[0]).bind("x", cx.x[1]).bind("gamma", cx.x[2]).bind("scale", cx.x[3]);
        cx.groups(launch.bind("dx", cx.y[0]), rows.div_ceil(8))
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let [dy, values, gamma, scale] = [0, 1, 2, 3].map(|i| x[i].floats());
        let channels = gamma.len();
        let rows = dy.par_chunks(channels).zip(values.par_chunks(channels)).zip(scale);
        y[0].floats().par_chunks_mut(channels).zip(rows).for_each(|(dx, ((dy, x), &scale))| {
            dx.iter_mut().zip(dy).zip(gamma).for_each(|((g, dy), gamma)| *g = dy * gamma);
            let with_x = across(dx, x, |g, x| g * (x * scale)) / channels as f32;
            dx.iter_mut().zip(x).for_each(|(g, x)| *g = scale * (*g - x * scale * with_x));
        });
        let [dgamma, _] = columns::pairs(channels, [dy, values], [&vec![0.0; scale.len()], scale]);
        y[1].floats().copy_from_slice(&dgamma);
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let [n, places, channels] = rows_and_channels(&x[1].shape.0);
        Rounding { terms: channels.max(sums::terms(n * places)), ulps: 30.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        RmsNormDx::run(x, y, f64::abs, |a, b| a.abs() + b.abs());
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: &[usize]| {
        let c = shape.last().copied().unwrap_or(1);
        let rows = shape.iter().product::<usize>() / c;
        let case = Case::new(RmsNormDx).random(Shape(shape.into())).random(Shape(shape.into())).random([c]);
        case.floats([rows], (0..rows).map(|r| 0.2 + (r % 9) as f32 * 0.3).collect())
    };
    SHAPES.map(case).into()
}
