//! Softmax cross-entropy of integer labels: loss, correct counts, and the gradient it keeps for backward.

use super::prelude::*;
use super::scale_rows::ScaleRows;
use crate::control::Control;

pub(super) const KERNELS: &[Source] = &[shader!("softmax_ce")];

/// The arguments are the control block, logits [batch, classes] and labels `[batch]`; the results loss `[batch]`
/// (each row's share of the batch's mean), correct `[batch]` as 0 or 1, and delta [batch, classes], the gradient
/// of the mean loss. Rows beyond the valid ones give zero.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxCe;

impl SoftmaxCe {
    fn rows<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>], row: impl Fn(&[F], usize, &mut [F]) -> (F, u32)) {
        let valid = Control::read(x[0].words()).valid as usize;
        let (logits, labels) = (x[1].floats(), x[2].words());
        let classes = logits.len() / labels.len();
        let [loss, correct, delta] = y else { return };
        let (loss, correct, delta) = (loss.floats(), correct.words(), delta.floats());
        let share = F::of(1.0 / valid as f64);
        for (b, delta) in delta.chunks_mut(classes).enumerate() {
            let (value, right) = row(&logits[b * classes..][..classes], labels[b] as usize, delta);
            let share = if b < valid { share } else { F::of(0.0) };
            loss[b] = value * share;
            correct[b] = if b < valid { right } else { 0 };
            delta.iter_mut().for_each(|d| *d = *d * share);
        }
    }
}

impl Reference for SoftmaxCe {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.rows(x, y, |logits, k, delta| {
            let best = (1..logits.len()).fold(0, |best, c| if logits[c] > logits[best] { c } else { best });
            let most = logits[best];
            let mut sum = F::of(0.0);
            for (d, x) in delta.iter_mut().zip(logits) {
                *d = (*x - most).exp();
                sum += *d;
            }
            for (c, d) in delta.iter_mut().enumerate() {
                *d = *d / sum - F::of(f64::from(c == k));
            }
            (sum.ln() - (logits[k] - most), u32::from(best == k))
        });
    }
}

impl Op for SoftmaxCe {
    fn name(&self) -> &'static str {
        "softmax_ce"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, logits, labels] = arguments(x)?;
        let ([batch, classes], [labels]) = (axes(logits)?, axes(labels)?);
        if batch != labels {
            return Err(format!("{batch} rows of logits but {labels} labels"));
        }
        Ok(vec![
            TensorInfo::floats("loss", [batch]),
            TensorInfo::words("correct", [batch]),
            TensorInfo::floats("d logits", [batch, classes]),
        ])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let dx = match at.dy[0] {
            None => at.y[2],
            Some(dy) => graph.apply(ScaleRows, &[at.y[2], dy])?[0],
        };
        Ok(vec![None, Some(dx), None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [batch, classes] = cx.shape(cx.x[1])[..] else { return Ok(()) };
        let launch = cx.kernel(KERNELS[0], &[])?.size("batch", batch).size("classes", classes);
        let launch = launch.bind("control", cx.x[0]).bind("logits", cx.x[1]).bind("labels", cx.x[2]);
        let launch = launch.bind("loss", cx.y[0]).bind("correct", cx.y[1]).bind("delta", cx.y[2]);
        cx.invocations(launch, batch)
    }

    /// The exponents are exact to a rounding, exp is good to 3 + 2|x| ULP with |x|·eˣ below 0.37 here, and
    /// log to 2⁻²¹ = 8 u near one (WGSL, "Accuracy of Concrete Floating Point Expressions").
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].shape.0.get(1).copied().unwrap_or(1), ulps: 20.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.rows(x, y, |logits, k, delta| {
            let most = logits.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            delta.fill(1.0);
            (1.0 + most + logits[k].abs(), 1)
        });
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |batch: usize, classes: usize, valid: u32, scale: f32| {
        let control = Control { valid, samples: 1000, ..Control::default() };
        let mut case = Case::new(SoftmaxCe).words([Control::WORDS], control.words()).random([batch, classes]);
        if let crate::values::Values::Float(logits) = &mut case.x[1].1 {
            logits.iter_mut().for_each(|x| *x *= scale);
        }
        case.below([batch], classes as u32)
    };
    let equal = Case::new(SoftmaxCe)
        .words([Control::WORDS], Control { valid: 4, samples: 4, ..Control::default() }.words())
        .floats([4, 3], vec![2.5; 12])
        .words([4], vec![0, 1, 2, 0]);
    vec![equal, case(1, 2, 1, 1.0), case(130, 10, 97, 3.0), case(7, 31, 7, 1e4), case(65, 257, 65, 30.0)]
}
