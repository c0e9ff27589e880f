//! Layer normalisation over the last axis.

use crate::ops::norm::columns::{across, per_channel, rows_and_channels, split};
use crate::ops::norm::layer_norm_dx::LayerNormDx;
use crate::ops::prelude::*;

kernels! {
    LAYER_NORM = "norm/layer_norm",
}

/// `y = (x - mean) · scale · γ + β`, row by row, where a row is a sample's features, or the channels of one place. The
/// arguments are x [N, …, C], γ and, if there is one, β `[C]`; the results y, and for the way back of each row the mean and
/// the scale 1 / √(variance + ε), `[rows]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    /// The constant added to the variance.
    pub epsilon: f64,
}

impl LayerNorm {
    /// Mean and biased variance of a row.
    fn statistics<F: Real>(row: &[F]) -> [F; 2] {
        let n = F::of(row.len() as f64);
        let mean = row.iter().fold(F::of(0.0), |sum, x| sum + *x) / n;
        let squares = row.iter().fold(F::of(0.0), |sum, x| sum + (*x - mean) * (*x - mean));
        [mean, squares / n]
    }

    /// Calls `f` with x, y, mean and scale of each row.
    fn rows<F: Real>(x: &[In<F>], y: &mut [Out<F>], f: impl Fn(&[F], &mut [F], &mut F, &mut F) + Sync) {
        let [_, _, channels] = rows_and_channels(x[0].shape);
        let [y, mean, scale] = results(y);
        let rows = x[0].floats().par_chunks(channels).zip(y.floats().par_chunks_mut(channels));
        let rows = rows.zip(mean.floats().par_iter_mut().zip(scale.floats().par_iter_mut()));
        rows.for_each(|((x, y), (mean, scale))| f(x, y, mean, scale));
    }
}

impl Reference for LayerNorm {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (gamma, beta) = (x[1].floats(), x.get(2).map(In::floats));
        LayerNorm::rows(x, y, |x, y, mean, scale| {
            let [middle, variance] = LayerNorm::statistics(x);
            (*mean, *scale) = (middle, F::of(1.0) / (variance + F::of(self.epsilon)).sqrt());
            for (c, y) in y.iter_mut().enumerate() {
                *y = (x[c] - middle) * *scale * gamma[c] + beta.map_or(F::of(0.0), |beta| beta[c]);
            }
        });
    }
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (&x, vectors) = match x {
            [x, vectors @ ..] if [1, 2].contains(&vectors.len()) => (x, vectors),
            _ => return Err(format!("{} arguments where x, γ and perhaps β are expected", x.len())),
        };
        let [n, places, c] = split(x)?;
        per_channel(c, vectors)?;
        let row = |name| TensorInfo::floats(name, [n * places]);
        Ok(vec![TensorInfo::floats("layer_norm", x.shape.clone()), row("mean"), row("scale")])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None; at.x.len()]) };
        let grads = graph.apply(LayerNormDx, &[dy, at.x[0], at.x[1], at.y[1], at.y[2]])?;
        Ok(grads.into_iter().map(Some).take(at.x.len()).collect())
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [n, places, channels] = rows_and_channels(&cx.shape(cx.x[0]));
        let launch = cx.kernel(LAYER_NORM, &[])?.size("rows", n * places).size("channels", channels);
        let launch = launch.set("epsilon", self.epsilon).bind("x", cx.x[0]).bind("gamma", cx.x[1]);
        // Without a β any buffer is bound, and not read.
        let beta = cx.x.get(2).copied();
        let launch = launch
            .set("moved", beta.is_some())
            .bind("beta", beta.unwrap_or(cx.x[1]))
            .bind("y", cx.y[0])
            .bind("mean", cx.y[1])
            .bind("scale", cx.y[2]);
        cx.groups(launch, (n * places).div_ceil(8))
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let (gamma, beta) = (x[1].floats(), x.get(2).map(In::floats));
        LayerNorm::rows(x, y, |x, y, mean, scale| {
            let count = x.len() as f32;
            let middle = across(x, x, |x, _| x) / count;
            let variance = across(x, x, |x, _| (x - middle) * (x - middle)) / count;
            (*mean, *scale) = (middle, 1.0 / (variance + self.epsilon as f32).sqrt());
            let factor = *scale;
            y.iter_mut().zip(x).zip(gamma).for_each(|((y, x), gamma)| *y = (x - middle) * factor * gamma);
            beta.into_iter().for_each(|beta| y.iter_mut().zip(beta).for_each(|(y, beta)| *y += beta));
        });
    }

    /// As batch normalisation's.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let [_, _, channels] = rows_and_channels(&x[0].shape.0);
        Rounding { terms: channels, ulps: 20.0 }
    }

    /// As batch normalisation's, row by row.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let (gamma, beta) = (x[1].floats(), x.get(2).map(In::floats));
        LayerNorm::rows(x, y, |x, y, mean, scale| {
            let [middle, variance] = LayerNorm::statistics(x);
            let (root, factor) = ((middle * middle + variance).sqrt(), 1.0 / (variance + self.epsilon).sqrt());
            (*mean, *scale) = (root, factor * (1.0 + root * factor));
            for (c, y) in y.iter_mut().enumerate() {
                let apart = (x[c] - middle).abs() * (1.0 + root * factor);
                *y = gamma[c].abs() * factor * (x[c].abs() + root + apart) + beta.map_or(0.0, |beta| beta[c].abs());
            }
        });
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: Shape, shift: f32| {
        let c = shape.0.last().copied().unwrap_or(1);
        let mut case = Case::new(LayerNorm { epsilon: 1e-5 }).random(shape);
        if let crate::ir::values::Values::Float(x) = &mut case.x[0].1 {
            x.iter_mut().for_each(|x| *x = *x * 2.0 + shift);
        }
        // Without a β, where the shape has three axes.
        let case = case.random([c]);
        if case.x[0].0.shape.0.len() == 3 { case } else { case.random([c]) }
    };
    vec![
        case(Shape(vec![3, 7, 6, 5]), 0.0),
        case(Shape(vec![3, 11, 7]), 0.5),
        case(Shape(vec![9, 300]), 3.0),
        case(Shape(vec![5, 1]), 1.0),
        case(Shape(vec![2, 26, 26, 32]), 0.1),
        case(Shape(vec![1, 17]), 300.0),
    ]
}
