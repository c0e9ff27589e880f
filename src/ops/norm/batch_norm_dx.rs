//! The gradients of batch normalisation: of its input, and of γ and β.

use crate::ops::norm::columns;
use crate::ops::norm::columns::{Chunks, per_channel, rows_and_channels, split};
use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    BATCH_NORM_DX = "norm/batch_norm_dx",
    BATCH_NORM_DX_FROZEN = "norm/batch_norm_dx_frozen",
    BATCH_NORM_DX_PARTIAL = "norm/batch_norm_dx_partial",
    BATCH_NORM_DX_SUM = "norm/batch_norm_dx_sum",
}

/// The arguments are dy, x, γ, the mean and the variance that the forward pass took, and in training the control block;
/// the results dx, dγ and dβ. Rows beyond the valid ones have dy = 0, as every loss gives it; in training the statistics
/// depend on x, and those rows get dx = 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormDx {
    /// The constant added to the variance.
    pub epsilon: f64,
    /// Whether the statistics are the batch's.
    pub training: bool,
}

impl BatchNormDx {
    /// The three results; `size` is what a difference counts as, `sign` its sign: the formula, or its magnitudes.
    fn run<F: Real>(
        &self,
        x: &[In<F>],
        y: &mut [Out<F>],
        of: impl Fn(F) -> F + Sync,
        apart: impl Fn(F, F) -> F + Sync,
    ) {
        let [n, places, channels] = rows_and_channels(x[1].shape);
        let valid = x.get(5).map_or(n, |control| Control::read(control.words()).valid as usize).min(n);
        let (all, rows) = (n * places, valid * places);
        let [dy, values, gamma, mean, variance] = [0, 1, 2, 3, 4].map(|i| x[i].floats());
        let (one, epsilon) = (F::of(1.0), F::of(self.epsilon));
        let scale: Vec<F> = variance.iter().map(|v| one / (*v + epsilon).sqrt()).collect();
        let dy = |r: usize, c: usize| of(dy[r * channels + c]);
        let normal = |r: usize, c: usize| apart(values[r * channels + c], mean[c]) * scale[c];
        let dgamma = columns::sums(all, channels, |r, c| dy(r, c) * normal(r, c));
        let dbeta = columns::sums(all, channels, dy);
        let share = one / F::of(rows.max(1) as f64);
        columns::fill(y[0].floats(), channels, |r, c| match (self.training, r < rows) {
            (true, false) => F::of(0.0),
            (true, true) => {
                let all_share = (dbeta[c] + normal(r, c) * dgamma[c]) * share;
                of(gamma[c]) * scale[c] * apart(dy(r, c), all_share)
            }
            (false, _) => of(gamma[c]) * scale[c] * dy(r, c),
        });
        y[1].floats().copy_from_slice(&dgamma);
        y[2].floats().copy_from_slice(&dbeta);
    }
}

impl Reference for BatchNormDx {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.run(x, y, |x| x, |a, b| a - b);
    }
}

impl Op for BatchNormDx {
    fn name(&self) -> &'static str {
        "batch_norm_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, x, per @ ..] = x else { return Err("no arguments".into()) };
        let [_, _, c] = split(x)?;
        if per.len() != 3 + usize::from(self.training) || dy.elements() != x.elements() {
            return Err("dy of x's size, x, gamma, mean, variance and in training a control block are expected".into());
        }
        per_channel(c, &per[..3])?;
        let like = |name| TensorInfo::floats(name, [c]);
        Ok(vec![TensorInfo::floats("batch_norm_dx", x.shape.clone()), like("dgamma"), like("dbeta")])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [n, places, channels] = rows_and_channels(&cx.shape(cx.x[1]));
        let (dy, x, gamma, mean, variance) = (cx.x[0], cx.x[1], cx.x[2], cx.x[3], cx.x[4]);
        let width = columns::width(channels);
        let (params, chunks) = ([("W", width as i64)], Chunks::of(n * places, channels / width));
        let (partials, sums) = (cx.scratch(2 * chunks.chunks * channels), cx.scratch(2 * channels));
        let launch = cx.kernel(BATCH_NORM_DX_PARTIAL, &params)?.sizes(&chunks.sizes()).size("channels", channels);
        let launch = launch.size("rows", n * places).set("epsilon", self.epsilon).bind("dy", dy).bind("x", x);
        let launch = launch.bind("mean", mean).bind("variance", variance).bind("partials", partials);
        cx.groups(launch, chunks.groups())?;
        let launch = cx.kernel(BATCH_NORM_DX_SUM, &[])?.size("chunks", chunks.chunks).size("channels", channels);
        let launch = launch.bind("partials", partials).bind("dgamma", cx.y[1]).bind("dbeta", cx.y[2]);
        cx.invocations(launch.bind("sums", sums), channels)?;
        let count = cx.elements(cx.y[0]) / width;
        let launch =
            cx.kernel(if self.training { BATCH_NORM_DX } else { BATCH_NORM_DX_FROZEN }, &params)?.size("count", count);
        let launch = launch.size("channels", channels).set("epsilon", self.epsilon).size("places", places);
        let launch = launch.bind("dy", dy).bind("gamma", gamma).bind("variance", variance).bind("dx", cx.y[0]);
        let launch = match self.training {
            true => launch.bind("control", cx.x[5]).bind("x", x).bind("mean", mean).bind("sums", sums),
            false => launch,
        };
        cx.invocations(launch, count)
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let [n, places, _] = rows_and_channels(&x[1].shape.0);
        Rounding { terms: sums::terms(n * places), ulps: 30.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.run(x, y, f64::abs, |a, b| a.abs() + b.abs());
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: Shape, valid: usize, training: bool, shift: f32| {
        let (n, c) = (shape.0[0], shape.0.last().copied().unwrap_or(1));
        let mut case = Case::new(BatchNormDx { epsilon: 1e-5, training }).random(shape.clone());
        if let crate::ir::values::Values::Float(dy) = &mut case.x[0].1 {
            let sample = dy.len() / n;
            dy[valid * sample..].fill(0.0);
        }
        let case = case.random(shape).random([c]).floats([c], vec![shift; c]);
        let case = case.floats([c], (0..c).map(|c| c as f32 * 0.2).collect());
        let control = Control { valid: valid as u32, samples: 1000, ..Control::default() };
        if training { case.words([Control::WORDS], control.words()) } else { case }
    };
    vec![
        case(Shape(vec![3, 7, 6, 5]), 3, true, 0.0),
        case(Shape(vec![5, 4, 3, 9]), 2, true, 0.5),
        case(Shape(vec![64, 11]), 17, true, -0.3),
        case(Shape(vec![1, 1, 1, 1]), 1, true, 0.0),
        case(Shape(vec![8, 26, 26, 32]), 7, true, 0.1),
        case(Shape(vec![3, 7, 6, 5]), 3, false, 0.0),
        case(Shape(vec![64, 11]), 17, false, 0.2),
    ]
}
