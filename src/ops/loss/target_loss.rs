//! Losses of each logit by itself, against a target of its own: several yes-or-no answers, numbers.

use crate::ops::loss::each::Each;
use crate::ops::loss::round;
use crate::ops::loss::scale_rows::ScaleRows;
use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    TARGET_LOSS = "loss/target_loss",
}

/// The arguments are the control block, logits [batch, outputs] and as many targets; the results loss `[batch]`, each sample's
/// share of the mean over all logits, correct `[batch]`, the number of answers of a sample that are right (the logit above 0
/// just where the target is above 1/2), and delta, shaped as the logits: the gradient of the mean loss. Rows beyond the
/// valid samples give zero.
#[derive(Clone, Copy, Debug)]
pub struct TargetLoss(pub Each);

impl TargetLoss {
    fn rows<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>], each: impl Fn(F, F) -> [F; 2] + Sync) {
        let (logits, targets, outputs) = (x[1].floats(), x[2].floats(), x[1].shape[1]);
        let valid = Control::read(x[0].words()).valid as usize;
        let share = F::of(1.0 / (valid as f64 * outputs as f64));
        let [loss, correct, delta] = results(y);
        let rows = delta.floats().par_chunks_mut(outputs).zip(loss.floats()).zip(correct.words()).enumerate();
        rows.for_each(|(b, ((delta, loss), correct))| {
            let share = if b < valid { share } else { F::of(0.0) };
            let (mut sum, mut right) = (F::of(0.0), 0);
            let pairs = logits[b * outputs..].iter().zip(&targets[b * outputs..]);
            for (delta, (x, t)) in delta.iter_mut().zip(pairs) {
                let [value, slope] = each(*x, *t);
                sum += value;
                right += u32::from((*x > F::of(0.0)) == (*t > F::of(0.5)));
                *delta = slope * share;
            }
            *loss = sum * share;
            *correct = if b < valid { right } else { 0 };
        });
    }
}

impl Reference for TargetLoss {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.rows(x, y, |x, t| self.0.at(x, t));
    }
}

impl Op for TargetLoss {
    fn name(&self) -> &'static str {
        "target_loss"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, logits, targets] = arguments(x)?;
        let [batch, _] = axes(logits)?;
        if targets.elements() != logits.elements() {
            return Err(format!("logits {} but targets {}, expected as many of both", logits.shape, targets.shape));
        }
        Ok(vec![
            TensorInfo::floats("loss", [batch]),
            TensorInfo::words("correct", [batch]),
            TensorInfo::floats("d logits", logits.shape.clone()),
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
        let (batch, outputs) = (cx.shape(cx.x[1])[0], cx.shape(cx.x[1])[1]);
        let launch =
            cx.kernel(TARGET_LOSS, &round(outputs))?.size("batch", batch).size("places", 1).size("classes", outputs);
        let launch = launch.set("kind", self.0 as u32);
        let launch = launch.bind("control", cx.x[0]).bind("logits", cx.x[1]).bind("targets", cx.x[2]);
        let launch = launch.bind("loss", cx.y[0]).bind("correct", cx.y[1]).bind("delta", cx.y[2]);
        cx.invocations(launch, batch)
    }

    /// As for the one-hot losses.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].shape.0.last().copied().unwrap_or(1), ulps: 24.0 }
    }

    /// Targets may be of any size, and so may what their differences from the logits are.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.rows(x, y, |x, t| self.0.sizes(x.abs() + t.abs()));
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |each: Each, shape: [usize; 2], valid: u32, yes_or_no: bool| {
        let control = Control { valid, samples: 1000, ..Control::default() };
        let case = Case::new(TargetLoss(each)).words([Control::WORDS], control.words()).random(shape);
        match yes_or_no {
            true => case.floats(shape, (0..shape[0] * shape[1]).map(|at| (at * 5 % 3 % 2) as f32).collect()),
            false => case.random(shape),
        }
    };
    let of = |each| [case(each, [1, 1], 1, true), case(each, [67, 10], 66, true), case(each, [5, 31], 5, false)];
    Each::ALL.into_iter().flat_map(of).collect()
}
