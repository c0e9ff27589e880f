//! Batch normalisation, and the activation that follows: by the statistics of the batch's valid samples in training, by
//! running ones in inference.

use crate::ops::norm::batch_norm_dx::BatchNormDx;
use crate::ops::norm::batch_norm_update::BatchNormUpdate;
use crate::ops::norm::columns;
use crate::ops::norm::columns::{Chunks, per_channel, rows_and_channels, split};
use crate::ops::pointwise::then::{Then, every};
use crate::ops::prelude::*;
use crate::step::control::Control;
use std::any::Any;

kernels! {
    BATCH_NORM = "norm/batch_norm",
    BATCH_NORM_PARTIAL = "norm/batch_norm_partial",
    BATCH_NORM_STATS = "norm/batch_norm_stats",
}

/// `y = (x - mean) / √(variance + ε) · γ + β`, channel by channel, as PyTorch's, and then an activation. The arguments are x [N, H, W, C] or
/// [N, C], γ and β `[C]`, and then the running mean and variance `[C]`, or in training the control block, which says how
/// many samples are valid. The results are y and in training the mean and the biased variance of the valid samples' rows,
/// `[C]` each. Rows beyond the valid ones are normalised alike, and counted by nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// The constant added to the variance.
    pub epsilon: f64,
    /// The share of a batch's statistics in the running ones, as in PyTorch.
    pub momentum: f64,
    /// Whether by the batch's statistics.
    pub training: bool,
    /// The activation that follows.
    pub then: Then,
}

/// Beyond the sums: two subtractions, an inverse root of 2 ULP, a division of 2.5, products and a sum.
pub(in crate::ops) const NORM_ULPS: f64 = 19.0;

/// Mean and biased variance of the first `rows` rows of x.
fn statistics<F: Real>(x: &[F], rows: usize, channels: usize) -> [Vec<F>; 2] {
    let n = F::of(rows.max(1) as f64);
    let mean: Vec<F> = columns::sums(rows, channels, |r, c| x[r * channels + c]).iter().map(|s| *s / n).collect();
    let squares = columns::sums(rows, channels, |r, c| {
        let apart = x[r * channels + c] - mean[c];
        apart * apart
    });
    let variance = squares.iter().map(|s| *s / n).collect();
    [mean, variance]
}

/// The normalisation of a channel, one number each.
pub(in crate::ops) struct Channels<'a, F> {
    mean: &'a [F],
    scale: Vec<F>,
    gamma: &'a [F],
    beta: &'a [F],
}

impl<'a, F: Real> Channels<'a, F> {
    /// γ, β, the mean and the variance of each.
    pub fn new(epsilon: f64, [gamma, beta, mean, variance]: [&'a [F]; 4]) -> Self {
        let (one, epsilon) = (F::of(1.0), F::of(epsilon));
        let scale = variance.iter().map(|v| one / (*v + epsilon).sqrt()).collect();
        Channels { mean, scale, gamma, beta }
    }

    /// x of channel c, normalised.
    pub fn normal(&self, x: F, c: usize) -> F {
        (x - self.mean[c]) * self.scale[c] * self.gamma[c] + self.beta[c]
    }
}

impl BatchNorm {
    fn plain(&self) -> BatchNorm {
        BatchNorm { then: Then::Nothing, ..*self }
    }

    /// Rows that count: those of the valid samples, or all.
    fn rows<F>(&self, x: &[In<F>]) -> usize {
        let [n, places, _] = rows_and_channels(x[0].shape);
        let valid = if self.training { Control::read(x[3].words()).valid as usize } else { n };
        valid.min(n) * places
    }
}

impl Reference for BatchNorm {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let [_, _, channels] = rows_and_channels(x[0].shape);
        let (rows, values) = (self.rows(x), x[0].floats());
        let [mean, variance] = match self.training {
            true => statistics(values, rows, channels),
            false => [x[3].floats().to_vec(), x[4].floats().to_vec()],
        };
        let norm = Channels::new(self.epsilon, [x[1].floats(), x[2].floats(), &mean, &variance]);
        let normal = |r: usize, c: usize| norm.normal(values[r * channels + c], c);
        // The usual loops are of numbers alone, and several times as fast so.
        let zero = F::of(0.0);
        match self.then {
            Then::Nothing => columns::fill(y[0].floats(), channels, normal),
            Then::Relu => columns::fill(y[0].floats(), channels, |r, c| {
                let value = normal(r, c);
                if value < zero { zero } else { value }
            }),
            then => columns::fill(y[0].floats(), channels, |r, c| then.value(normal(r, c))),
        }
        if let [_, y_mean, y_variance] = y {
            y_mean.floats().copy_from_slice(&mean);
            y_variance.floats().copy_from_slice(&variance);
        }
    }
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x, per @ ..] = x else { return Err("no arguments".into()) };
        let [_, _, c] = split(x)?;
        let (own, given) = if self.training { (2, 3) } else { (4, 4) };
        if per.len() != given {
            return Err(format!("{} arguments where {} are expected", per.len() + 1, given + 1));
        }
        per_channel(c, &per[..own])?;
        let y = TensorInfo::floats("batch_norm", x.shape.clone());
        let statistics = ["mean", "variance"].map(|name| TensorInfo::floats(name, [c]));
        Ok(std::iter::once(y).chain(statistics.into_iter().filter(|_| self.training)).collect())
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None; at.x.len()]) };
        let dy = self.then.backward(graph, dy, at.y[0])?;
        let op = BatchNormDx { epsilon: self.epsilon, training: self.training };
        let arguments = match (self.training, at.x, at.y) {
            (true, &[x, gamma, _, control], &[_, mean, variance]) => vec![dy, x, gamma, mean, variance, control],
            (false, &[x, gamma, _, mean, variance], _) => vec![dy, x, gamma, mean, variance],
            _ => return Ok(vec![None; at.x.len()]),
        };
        let grads = graph.apply(op, &arguments)?;
        let mut dx: Vec<Option<Tensor>> = grads.into_iter().map(Some).collect();
        dx.resize(at.x.len(), None);
        Ok(dx)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [n, places, channels] = rows_and_channels(&cx.shape(cx.x[0]));
        let [mean, variance] = if self.training { [cx.y[1], cx.y[2]] } else { [cx.x[3], cx.x[4]] };
        let width = columns::width(channels);
        let params = [("W", width as i64)];
        if self.training {
            let chunks = Chunks::of(n * places, channels / width);
            let partials = cx.scratch(2 * chunks.chunks * channels);
            let launch = cx.kernel(BATCH_NORM_PARTIAL, &params)?.sizes(&chunks.sizes()).size("channels", channels);
            let launch = launch.size("places", places).bind("control", cx.x[3]).bind("x", cx.x[0]);
            cx.groups(launch.bind("partials", partials), chunks.groups())?;
            let launch = cx.kernel(BATCH_NORM_STATS, &[])?.sizes(&chunks.sizes()).size("channels", channels);
            let launch = launch.size("places", places).bind("control", cx.x[3]).bind("partials", partials);
            cx.invocations(launch.bind("mean", mean).bind("variance", variance), channels)?;
        }
        let count = cx.elements(cx.y[0]) / width;
        let launch = self.then.set(cx.kernel(BATCH_NORM, &params)?).size("count", count).size("channels", channels);
        let launch = launch.set("epsilon", self.epsilon).bind("x", cx.x[0]).bind("gamma", cx.x[1]);
        let launch = launch.bind("beta", cx.x[2]).bind("mean", mean).bind("variance", variance);
        cx.invocations(launch.bind("y", cx.y[0]), count)
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let [n, places, _] = rows_and_channels(&x[0].shape.0);
        Rounding { terms: if self.training { sums::terms(n * places) } else { 0 }, ulps: NORM_ULPS + self.then.ulps() }
    }

    /// An error of the mean moves y by its scale; one of x moves the variance by twice the product of a distance from
    /// the mean with x, and with it the scale by half as much.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let [_, _, channels] = rows_and_channels(x[0].shape);
        let (rows, values) = (self.rows(x), x[0].floats());
        let [mean, variance] = match self.training {
            true => statistics(values, rows, channels),
            false => [x[3].floats().to_vec(), x[4].floats().to_vec()],
        };
        let root: Vec<f64> = match self.training {
            true => mean.iter().zip(&variance).map(|(m, v)| (m * m + v).sqrt()).collect(),
            false => mean.iter().map(|m| m.abs()).collect(),
        };
        let (gamma, beta) = (x[1].floats(), x[2].floats());
        columns::fill(y[0].floats(), channels, |r, c| {
            let (x, scale) = (values[r * channels + c], 1.0 / (variance[c] + self.epsilon).sqrt());
            let apart = (x - mean[c]).abs() * (1.0 + root[c] * scale);
            gamma[c].abs() * scale * (x.abs() + root[c] + apart) + beta[c].abs()
        });
        self.then.magnitude(&self.plain(), x, y);
        if let [_, y_mean, y_variance] = y {
            y_mean.floats().copy_from_slice(&root);
            let size = |(root, variance): (&f64, &f64)| variance + 2.0 * root * variance.sqrt();
            let sizes: Vec<f64> = root.iter().zip(&variance).map(size).collect();
            y_variance.floats().copy_from_slice(&sizes);
        }
    }
}

impl Graph {
    /// Gives frozen batch normalisations their running statistics, and every other its update of them. After `freeze`,
    /// before `backward`: a normalisation is frozen where its γ and β are.
    pub fn fix_frozen_norms(&mut self) {
        for n in 0..self.nodes.len() {
            let op: &dyn Any = &*self.nodes[n].op;
            let Some(norm) = op.downcast_ref::<BatchNorm>().copied().filter(|norm| norm.training) else { continue };
            let frozen = |t: Tensor| self.params.iter().any(|param| param.tensor == t && param.frozen);
            let Some(running) = self.running(self.nodes[n].x[1]) else { continue };
            if self.nodes[n].x[1..3].iter().all(|&t| frozen(t)) {
                let node = &mut self.nodes[n];
                node.op = Arc::new(BatchNorm { training: false, ..norm });
                node.x.truncate(3);
                node.x.extend(running);
                node.y.truncate(1);
            }
        }
    }

    /// Adds the updates of running statistics, which every batch normalisation in training has.
    ///
    /// # Errors
    /// [`Error::Input`] if an op does not fit its arguments.
    pub fn update_norms(&mut self) -> crate::Result<()> {
        for n in 0..self.nodes.len() {
            let op: &dyn Any = &*self.nodes[n].op;
            let Some(norm) = op.downcast_ref::<BatchNorm>().copied() else { continue };
            if let (&[x, gamma, _, control], &[_, mean, variance]) = (&self.nodes[n].x[..], &self.nodes[n].y[..]) {
                let Some(running) = self.running(gamma) else { continue };
                let [_, places, _] = rows_and_channels(self.shape(x));
                let op = BatchNormUpdate { momentum: norm.momentum, places };
                self.update(op, &[control, mean, variance], &running)?;
            }
        }
        Ok(())
    }

    /// The running mean and variance that follow γ and β in the list of parameters, as the layer adds them.
    fn running(&self, gamma: Tensor) -> Option<[Tensor; 2]> {
        let at = self.params.iter().position(|param| param.tensor == gamma)?;
        match self.params.get(at + 2..at + 4)? {
            [mean, variance] if mean.running && variance.running => Some([mean.tensor, variance.tensor]),
            _ => None,
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let ending = |then: Then, shape: Shape, valid: u32, training: bool, shift: f32| {
        let c = shape.0.last().copied().unwrap_or(1);
        let mut case = Case::new(BatchNorm { epsilon: 1e-5, momentum: 0.1, training, then }).random(shape);
        if let crate::ir::values::Values::Float(x) = &mut case.x[0].1 {
            x.iter_mut().for_each(|x| *x = *x * 2.0 + shift);
        }
        let case = case.random([c]).random([c]);
        let control = Control { valid, samples: 1000, ..Control::default() };
        match training {
            true => case.words([Control::WORDS], control.words()),
            false => case.random([c]).floats([c], (0..c).map(|c| c as f32 * 0.3).collect()),
        }
    };
    let case = |shape, valid, training, shift| ending(Then::Nothing, shape, valid, training, shift);
    let mut cases = vec![
        case(Shape(vec![3, 7, 6, 5]), 3, true, 0.0),
        case(Shape(vec![5, 4, 3, 9]), 2, true, 0.5),
        case(Shape(vec![64, 11]), 64, true, 3.0),
        case(Shape(vec![64, 11]), 17, true, -3.0),
        case(Shape(vec![4, 3]), 1, true, 1.0),
        case(Shape(vec![1, 1, 1, 1]), 1, true, 0.0),
        case(Shape(vec![8, 26, 26, 32]), 7, true, 0.1),
        // Far from zero, where squares without the mean taken off would leave nothing.
        case(Shape(vec![9, 30, 30, 3]), 9, true, 300.0),
        case(Shape(vec![3, 7, 6, 5]), 3, false, 0.0),
        case(Shape(vec![33, 10]), 33, false, 1.0),
    ];
    // Every activation, over vectors of channels and over single ones.
    cases.extend(every().map(|then| ending(then, Shape(vec![3, 2, 3, 8]), 2, true, 0.5)));
    cases.extend(every().map(|then| ending(then, Shape(vec![6, 5]), 6, false, 0.5)));
    cases
}
