//! Normalisation over groups of channels.

use crate::ops::norm::columns::{per_channel, rows_and_channels, split};
use crate::ops::norm::group_norm_dx::GroupNormDx;
use crate::ops::prelude::*;

kernels! {
    GROUP_NORM = "norm/group_norm",
}

/// `y = (x - mean) · scale · γ + β`, sample by sample and group by group of channels, the places of an image together. The
/// arguments are x [N, H, W, C] or [N, C], γ and β `[C]`; the results y, and for the way back of each group of a sample
/// the mean and the scale 1 / √(variance + ε), `[N · groups]`. As PyTorch's `GroupNorm`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    /// Groups that the channels are divided into.
    pub groups: usize,
    /// The constant added to the variance.
    pub epsilon: f64,
}

/// Channel, and place in the sample, of each element of a group.
pub(super) fn members(
    [places, channels]: [usize; 2],
    groups: usize,
    group: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let width = channels / groups;
    (0..places).flat_map(move |p| (group * width..(group + 1) * width).map(move |c| (c, p * channels + c)))
}

/// Sizes of a norm in groups: samples, places of each and channels; or why they do not fit.
pub(super) fn grouped(x: &TensorInfo, groups: usize) -> Result<[usize; 3], String> {
    let [n, places, c] = split(x)?;
    match groups > 0 && c.is_multiple_of(groups) {
        true => Ok([n, places, c]),
        false => Err(format!("found {c} channels and {groups} groups, expected channels in multiples of the groups")),
    }
}

impl GroupNorm {
    /// Mean and biased variance of a group.
    fn statistics<F: Real>(&self, x: &[F], sizes: [usize; 2], group: usize) -> [F; 2] {
        let own = || members(sizes, self.groups, group).map(|(_, at)| x[at]);
        let n = F::of(own().count() as f64);
        let mean = sums::total(own()) / n;
        let squares = sums::total(own().map(|x| (x - mean) * (x - mean)));
        [mean, squares / n]
    }

    /// Calls `f` with x, y, mean and scale of each group of each sample, and the group.
    fn each<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>], f: impl Fn(&[F], &mut [F], &mut F, &mut F, usize) + Sync) {
        let [_, places, channels] = rows_and_channels(x[0].shape);
        let [y, mean, scale] = y else { unreachable!("group_norm declares three results") };
        let samples = x[0].floats().par_chunks(places * channels).zip(y.floats().par_chunks_mut(places * channels));
        let of_groups = mean.floats().par_chunks_mut(self.groups).zip(scale.floats().par_chunks_mut(self.groups));
        samples.zip(of_groups).for_each(|((x, y), (mean, scale))| {
            for (group, (mean, scale)) in mean.iter_mut().zip(scale).enumerate() {
                f(x, y, mean, scale, group);
            }
        });
    }
}

impl Reference for GroupNorm {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let [_, places, channels] = rows_and_channels(x[0].shape);
        let (gamma, beta) = (x[1].floats(), x[2].floats());
        self.each(x, y, |x, y, mean, scale, group| {
            let [middle, variance] = self.statistics(x, [places, channels], group);
            (*mean, *scale) = (middle, F::of(1.0) / (variance + F::of(self.epsilon)).sqrt());
            for (c, at) in members([places, channels], self.groups, group) {
                y[at] = (x[at] - middle) * *scale * gamma[c] + beta[c];
            }
        });
    }
}

impl Op for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x, gamma, beta] = arguments(x)?;
        let [n, _, c] = grouped(x, self.groups)?;
        per_channel(c, &[gamma, beta])?;
        let part = |name| TensorInfo::floats(name, [n * self.groups]);
        Ok(vec![TensorInfo::floats("group_norm", x.shape.clone()), part("mean"), part("scale")])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None; 3]) };
        let dx = GroupNormDx { groups: self.groups };
        let grads = graph.apply(dx, &[dy, at.x[0], at.x[1], at.y[1], at.y[2]])?;
        Ok(grads.into_iter().map(Some).collect())
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [samples, places, channels] = rows_and_channels(&cx.shape(cx.x[0]));
        let sizes = [("samples", samples), ("places", places), ("channels", channels), ("parts", self.groups)];
        let launch = cx.kernel(GROUP_NORM, &[])?.sizes(&sizes).set("epsilon", self.epsilon).set("moved", true);
        let launch = launch.bind("x", cx.x[0]).bind("gamma", cx.x[1]).bind("beta", cx.x[2]);
        let launch = launch.bind("y", cx.y[0]).bind("mean", cx.y[1]).bind("scale", cx.y[2]);
        cx.groups(launch, samples * self.groups)
    }

    /// As layer normalisation's.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let [_, places, channels] = rows_and_channels(&x[0].shape.0);
        Rounding { terms: sums::terms(places * channels / self.groups), ulps: 20.0 }
    }

    /// As layer normalisation's, group by group.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let [_, places, channels] = rows_and_channels(x[0].shape);
        let (gamma, beta) = (x[1].floats(), x[2].floats());
        self.each(x, y, |x, y, mean, scale, group| {
            let [middle, variance] = self.statistics(x, [places, channels], group);
            let (root, factor) = ((middle * middle + variance).sqrt(), 1.0 / (variance + self.epsilon).sqrt());
            (*mean, *scale) = (root, factor * (1.0 + root * factor));
            for (c, at) in members([places, channels], self.groups, group) {
                let apart = (x[at] - middle).abs() * (1.0 + root * factor);
                y[at] = gamma[c].abs() * factor * (x[at].abs() + root + apart) + beta[c].abs();
            }
        });
    }
}

/// Shapes, and groups: one group, a group a channel, odd sizes, features, a single element, more than a workgroup, long sums.
pub(super) const SHAPES: [(&[usize], usize); 8] = [
    (&[3, 7, 6, 6], 3),
    (&[2, 5, 3, 7], 1),
    (&[2, 4, 5, 6], 6),
    (&[9, 300], 4),
    (&[5, 1], 1),
    (&[2, 26, 26, 32], 8),
    (&[1, 1, 1, 34], 2),
    (&[1, 601, 500, 2], 1),
];

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(shape, groups): (&[usize], usize), shift: f32| {
        let c = shape.last().copied().unwrap_or(1);
        let mut case = Case::new(GroupNorm { groups, epsilon: 1e-5 }).random(Shape(shape.into()));
        if let crate::ir::values::Values::Float(x) = &mut case.x[0].1 {
            x.iter_mut().for_each(|x| *x = *x * 2.0 + shift);
        }
        case.random([c]).random([c])
    };
    SHAPES.into_iter().zip([0.0, 3.0, 0.1, 30.0, 1.0, 0.1, 300.0]).map(|(shape, shift)| case(shape, shift)).collect()
}
