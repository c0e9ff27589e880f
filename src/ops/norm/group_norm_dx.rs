//! The gradients of normalisation over groups of channels: of its input, and of γ and β.

use crate::ops::norm::columns::{self, Chunks, per_channel, rows_and_channels};
use crate::ops::norm::group_norm::{SHAPES, grouped, members};
use crate::ops::norm::layer_norm_dx;
use crate::ops::prelude::*;

kernels! {
    GROUP_NORM_DX = "norm/group_norm_dx",
    GROUP_NORM_DX_PARTIAL = "norm/group_norm_dx_partial",
}

/// The arguments are dy, x, γ and each group's mean and scale; the results dx, dγ and dβ. A sample whose dy is 0, as those
/// beyond the valid ones have it, gets dx = 0.
#[derive(Clone, Copy, Debug)]
pub struct GroupNormDx {
    /// Groups that the channels are divided into.
    pub groups: usize,
}

impl GroupNormDx {
    /// The three results. `of` takes a value and `apart` a difference: as they are, or their magnitudes.
    fn run<F: Real>(
        &self,
        x: &[In<F>],
        y: &mut [Out<F>],
        of: impl Fn(F) -> F + Sync,
        apart: impl Fn(F, F) -> F + Sync,
    ) {
        let [n, places, channels] = rows_and_channels(x[1].shape);
        let [dy, values, gamma, mean, scale] = [0, 1, 2, 3, 4].map(|i| x[i].floats());
        let (size, width) = (places * channels, channels / self.groups);
        let count = F::of((places * width) as f64);
        let normal = |n: usize, at: usize| {
            let group = n * self.groups + at % channels / width;
            apart(values[n * size + at], mean[group]) * of(scale[group])
        };
        y[0].floats().par_chunks_mut(size).enumerate().for_each(|(n, dx)| {
            for group in 0..self.groups {
                let g = |c: usize, at: usize| of(dy[n * size + at] * gamma[c]);
                let own = || members([places, channels], self.groups, group);
                let sum = sums::total(own().map(|(c, at)| g(c, at)));
                let with_x = sums::total(own().map(|(c, at)| g(c, at) * normal(n, at)));
                for (c, at) in own() {
                    let shares = sum / count + normal(n, at) * (with_x / count);
                    dx[at] = of(scale[n * self.groups + group]) * apart(g(c, at), shares);
                }
            }
        });
        let dy = |r: usize, c: usize| of(dy[r * channels + c]);
        let with_x = |r: usize, c: usize| dy(r, c) * normal(r / places, r % places * channels + c);
        y[1].floats().copy_from_slice(&columns::sums(n * places, channels, with_x));
        y[2].floats().copy_from_slice(&columns::sums(n * places, channels, dy));
    }
}

impl Reference for GroupNormDx {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.run(x, y, |x| x, |a, b| a - b);
    }
}

impl Op for GroupNormDx {
    fn name(&self) -> &'static str {
        "group_norm_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, x, gamma, mean, scale] = arguments(x)?;
        let [n, _, c] = grouped(x, self.groups)?;
        per_channel(c, &[gamma])?;
        if dy.elements() != x.elements() || [mean, scale].iter().any(|part| part.elements() != n * self.groups) {
            return Err("dy of x's size, and a mean and a scale for each group of a sample are expected".into());
        }
        let like = |name| TensorInfo::floats(name, [c]);
        Ok(vec![TensorInfo::floats("group_norm_dx", x.shape.clone()), like("dgamma"), like("dbeta")])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [samples, places, channels] = rows_and_channels(&cx.shape(cx.x[1]));
        let (rows, chunks) = (samples * places, Chunks::of(samples * places, channels));
        let sizes = [("rows", rows), ("samples", samples), ("places", places), ("channels", channels)];
        let partials = cx.scratch(2 * chunks.chunks * channels);
        let launch =
            cx.kernel(GROUP_NORM_DX_PARTIAL, &[])?.sizes(&chunks.sizes()).sizes(&sizes).size("parts", self.groups);
        let launch = launch.bind("dy", cx.x[0]).bind("x", cx.x[1]).bind("mean", cx.x[3]).bind("scale", cx.x[4]);
        cx.groups(launch.bind("partials", partials), chunks.groups())?;
        layer_norm_dx::sum_chunks(cx, partials, chunks.chunks, channels, [cx.y[1], cx.y[2]])?;
        let launch = cx.kernel(GROUP_NORM_DX, &[])?.sizes(&sizes).size("parts", self.groups);
        let launch = launch.bind("dy", cx.x[0]).bind("x", cx.x[1]).bind("gamma", cx.x[2]).bind("mean", cx.x[3]);
        cx.groups(launch.bind("scale", cx.x[4]).bind("dx", cx.y[0]), samples * self.groups)
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let [n, places, channels] = rows_and_channels(&x[1].shape.0);
        Rounding { terms: sums::terms(places * channels / self.groups).max(sums::terms(n * places)), ulps: 30.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.run(x, y, f64::abs, |a, b| a.abs() + b.abs());
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(shape, groups): (&[usize], usize)| {
        let (c, parts) = (shape.last().copied().unwrap_or(1), shape[0] * groups);
        let case = Case::new(GroupNormDx { groups }).random(Shape(shape.into())).random(Shape(shape.into()));
        let scales = (0..parts).map(|k| 0.2 + (k % 9) as f32 * 0.3).collect();
        case.random([c]).random([parts]).floats([parts], scales)
    };
    SHAPES.map(case).into()
}
