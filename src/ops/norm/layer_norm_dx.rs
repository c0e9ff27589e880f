//! The gradients of layer normalisation: of its input, and of γ and β.

use crate::ops::norm::columns;
use crate::ops::norm::columns::{Chunks, across, per_channel, rows_and_channels, split};
use crate::ops::prelude::*;

kernels! {
    LAYER_NORM_DX = "norm/layer_norm_dx",
    LAYER_NORM_DX_PARTIAL = "norm/layer_norm_dx_partial",
    LAYER_NORM_DX_SUM = "norm/layer_norm_dx_sum",
}

/// The arguments are dy, x, γ and each row's mean and scale; the results dx, dγ and dβ. A row whose dy is 0, as those
/// beyond the valid samples have it, gets dx = 0.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormDx;

impl LayerNormDx {
    /// The three results. `of` takes a value and `apart` a difference: as they are, or their magnitudes.
    fn run<F: Real>(x: &[In<F>], y: &mut [Out<F>], of: impl Fn(F) -> F + Sync, apart: impl Fn(F, F) -> F + Sync) {
        let [n, places, channels] = rows_and_channels(x[1].shape);
        let [dy, values, gamma, mean, scale] = [0, 1, 2, 3, 4].map(|i| x[i].floats());
        let normal = |r: usize, c: usize| apart(values[r * channels + c], mean[r]) * of(scale[r]);
        let count = F::of(channels as f64);
        y[0].floats().par_chunks_mut(channels).enumerate().for_each(|(r, dx)| {
            let g = |c: usize| of(dy[r * channels + c] * gamma[c]);
            let (mut sum, mut with_x) = (F::of(0.0), F::of(0.0));
            for c in 0..channels {
                sum += g(c);
                with_x += g(c) * normal(r, c);
            }
            for (c, dx) in dx.iter_mut().enumerate() {
                *dx = of(scale[r]) * apart(g(c), sum / count + normal(r, c) * (with_x / count));
            }
        });
        let dy = |r: usize, c: usize| of(dy[r * channels + c]);
        let dgamma = columns::sums(n * places, channels, |r, c| dy(r, c) * normal(r, c));
        y[1].floats().copy_from_slice(&dgamma);
        y[2].floats().copy_from_slice(&columns::sums(n * places, channels, dy));
    }
}

/// Emits the sums of both numbers of a channel over the chunks: of dγ and dβ.
pub(super) fn sum_chunks(
    cx: &mut Lower,
    partials: Tensor,
    chunks: usize,
    channels: usize,
    [dgamma, dbeta]: [Tensor; 2],
) -> crate::Result<()> {
    let launch = cx.kernel(LAYER_NORM_DX_SUM, &[])?.size("chunks", chunks).size("channels", channels);
    cx.invocations(launch.bind("partials", partials).bind("dgamma", dgamma).bind("dbeta", dbeta), channels)
}

impl Reference for LayerNormDx {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        LayerNormDx::run(x, y, |x| x, |a, b| a - b);
    }
}

impl Op for LayerNormDx {
    fn name(&self) -> &'static str {
        "layer_norm_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, x, gamma, mean, scale] = arguments(x)?;
        let [n, places, c] = split(x)?;
        per_channel(c, &[gamma])?;
        if dy.elements() != x.elements() || [mean, scale].iter().any(|row| row.elements() != n * places) {
            return Err("dy of x's size, and a mean and a scale a row are expected".into());
        }
        let like = |name| TensorInfo::floats(name, [c]);
        Ok(vec![TensorInfo::floats("layer_norm_dx", x.shape.clone()), like("dgamma"), like("dbeta")])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [n, places, channels] = rows_and_channels(&cx.shape(cx.x[1]));
        let (rows, chunks) = (n * places, Chunks::of(n * places, channels));
        let partials = cx.scratch(2 * chunks.chunks * channels);
        let launch =
            cx.kernel(LAYER_NORM_DX_PARTIAL, &[])?.sizes(&chunks.sizes()).size("rows", rows).size("channels", channels);
        let launch = launch.bind("dy", cx.x[0]).bind("x", cx.x[1]).bind("mean", cx.x[3]).bind("scale", cx.x[4]);
        cx.groups(launch.bind("partials", partials), chunks.groups())?;
        sum_chunks(cx, partials, chunks.chunks, channels, [cx.y[1], cx.y[2]])?;
        let launch = cx.kernel(LAYER_NORM_DX, &[])?.size("rows", rows).size("channels", channels);
        let launch = launch.bind("dy", cx.x[0]).bind("x", cx.x[1]).bind("gamma", cx.x[2]).bind("mean", cx.x[3]);
        cx.groups(launch.bind("scale", cx.x[4]).bind("dx", cx.y[0]), rows.div_ceil(8))
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let channels = x[2].floats().len();
        let [dy, values, gamma, mean, scale] = [0, 1, 2, 3, 4].map(|i| x[i].floats());
        let count = channels as f32;
        let rows = dy.par_chunks(channels).zip(values.par_chunks(channels)).zip(mean.par_iter().zip(scale));
        let dx = y[0].floats().par_chunks_mut(channels).zip(rows);
        dx.for_each(|(dx, ((dy, x), (&mean, &scale)))| {
            dx.iter_mut().zip(dy).zip(gamma).for_each(|((g, dy), gamma)| *g = dy * gamma);
            let sum = across(dx, x, |g, _| g) / count;
            let with_x = across(dx, x, |g, x| g * ((x - mean) * scale)) / count;
            dx.iter_mut().zip(x).for_each(|(g, x)| *g = scale * (*g - (sum + (x - mean) * scale * with_x)));
        });
        let [dgamma, dbeta] = columns::pairs(channels, [dy, values], [mean, scale]);
        y[1].floats().copy_from_slice(&dgamma);
        y[2].floats().copy_from_slice(&dbeta);
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let [n, places, channels] = rows_and_channels(&x[1].shape.0);
        Rounding { terms: channels.max(sums::terms(n * places)), ulps: 30.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        LayerNormDx::run(x, y, f64::abs, |a, b| a.abs() + b.abs());
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: Shape| {
        let c = shape.0.last().copied().unwrap_or(1);
        let rows = shape.elements() / c;
        let case = Case::new(LayerNormDx).random(shape.clone()).random(shape).random([c]).random([rows]);
        case.floats([rows], (0..rows).map(|r| 0.2 + (r % 9) as f32 * 0.3).collect())
    };
    vec![
        case(Shape(vec![3, 7, 6, 5])),
        case(Shape(vec![9, 300])),
        case(Shape(vec![3, 11, 7])),
        case(Shape(vec![5, 1])),
        case(Shape(vec![2, 26, 26, 32])),
        case(Shape(vec![1, 17])),
    ]
}
