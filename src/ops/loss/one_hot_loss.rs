//! Losses of each logit by itself, against the one-hot form of the label.

use crate::ir::element::IGNORED;
use crate::ops::loss::each::Each;
use crate::ops::loss::round;
use crate::ops::loss::scale_rows::ScaleRows;
use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    ONE_HOT_LOSS = "loss/one_hot_loss",
    ONE_HOT_LOSS_COUNTED = "loss/one_hot_loss_counted",
}

/// The arguments are the control block, logits [batch, …, classes] and labels, one per row of logits: [batch, …]; the
/// results loss (each row's share of the mean over all logits), correct (0 or 1), both shaped as the labels, and delta,
/// shaped as the logits: the gradient of the mean loss. Rows beyond the valid samples give zero, and so do rows whose
/// label is [`IGNORED`]. Where they are `counted` one more argument follows, `scale [classes]`, one over the number of
/// targets that are not ignored, as [`ClassScale`](super::class_scale::ClassScale) with weights of 1 gives it: the mean
/// is over these.
#[derive(Clone, Copy)]
pub struct OneHotLoss {
    /// The loss of a logit.
    pub each: Each,
    /// Whether the mean is over the targets that are not ignored.
    pub counted: bool,
}

/// A listing says what is counted where it is.
impl std::fmt::Debug for OneHotLoss {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let counted = if self.counted { ", counted" } else { "" };
        write!(f, "OneHotLoss({:?}{counted})", self.each)
    }
}

impl OneHotLoss {
    fn rows<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>], each: impl Fn(F, F) -> [F; 2] + Sync) {
        let (logits, labels) = (x[1].floats(), x[2].words());
        let classes = logits.len() / labels.len();
        let valid = Control::read(x[0].words()).valid as usize * (labels.len() / x[1].shape[0]);
        let share = match self.counted {
            true => x[3].floats()[0] * F::of(1.0 / classes as f64),
            false => F::of(1.0 / (valid as f64 * classes as f64)),
        };
        let [loss, correct, delta] = results(y);
        let rows = delta.floats().par_chunks_mut(classes).zip(loss.floats()).zip(correct.words()).enumerate();
        rows.for_each(|(b, ((delta, loss), correct))| {
            let (row, k) = (&logits[b * classes..][..classes], labels[b] as usize);
            let best = (1..classes).fold(0, |best, c| if row[c] > row[best] { c } else { best });
            let counts = b < valid && labels[b] != IGNORED;
            let share = if counts { share } else { F::of(0.0) };
            let mut sum = F::of(0.0);
            for (c, (x, delta)) in row.iter().zip(delta).enumerate() {
                let [value, slope] = each(*x, F::of(f64::from(u8::from(c == k))));
                sum += value;
                *delta = slope * share;
            }
            *loss = sum * share;
            *correct = u32::from(counts && best == k);
        });
    }
}

impl Reference for OneHotLoss {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.rows(x, y, |x, t| self.each.at(x, t));
    }
}

impl Op for OneHotLoss {
    fn name(&self) -> &'static str {
        "one_hot_loss"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let first = x.len() - usize::from(self.counted && x.len() > 3);
        let [_, logits, labels] = arguments(&x[..first])?;
        let classes = logits.shape.0.last().copied().unwrap_or(0);
        if self.counted && x.get(3).is_none_or(|scale| scale.elements() != classes) {
            return Err(format!("a scale of {classes} elements is expected after the labels"));
        }
        let rows = match logits.shape.0.split_last() {
            Some((_, rows)) if !rows.is_empty() && logits.elements() > 0 => Shape(rows.to_vec()),
            _ => return Err(format!("logits {}, expected [batch, …, classes], none of them 0", logits.shape)),
        };
        if labels.elements() != rows.elements() {
            return Err(format!("{} rows of logits but {} labels", rows.elements(), labels.elements()));
        }
        Ok(vec![
            TensorInfo::floats("loss", rows.clone()),
            TensorInfo::words("correct", rows),
            TensorInfo::floats("d logits", logits.shape.clone()),
        ])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let dx = match at.dy[0] {
            None => at.y[2],
            Some(dy) => graph.apply(ScaleRows, &[at.y[2], dy])?[0],
        };
        let mut gradients = vec![None; 3 + usize::from(self.counted)];
        gradients[1] = Some(dx);
        Ok(gradients)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (batch, rows) = (cx.shape(cx.x[1])[0], cx.elements(cx.y[0]));
        let kernel = if self.counted { ONE_HOT_LOSS_COUNTED } else { ONE_HOT_LOSS };
        let classes = cx.elements(cx.x[1]) / rows;
        let launch = cx.kernel(kernel, &round(classes))?.size("batch", rows).size("places", rows / batch);
        let launch = launch.size("classes", classes).set("kind", self.each as u32);
        let launch = launch.bind("control", cx.x[0]).bind("logits", cx.x[1]).bind("labels", cx.x[2]);
        let launch = if self.counted { launch.bind("scale", cx.x[3]) } else { launch };
        let launch = launch.bind("loss", cx.y[0]).bind("correct", cx.y[1]).bind("delta", cx.y[2]);
        cx.invocations(launch, rows)
    }

    /// As for the softmax: exp is good to 3 ULP and more of what is small, log to 8 u near one, a division to 2.5 ULP.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].shape.0.last().copied().unwrap_or(1), ulps: 24.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.rows(x, y, |x, _| self.each.sizes(x));
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |each: Each, shape: &[usize], valid: u32, scale: f32| {
        let control = Control { valid, samples: 1000, ..Control::default() };
        let mut case = Case::new(OneHotLoss { each, counted: false })
            .words([Control::WORDS], control.words())
            .random(Shape(shape.to_vec()));
        if let crate::ir::values::Values::Float(logits) = &mut case.x[1].1 {
            logits.iter_mut().for_each(|x| *x *= scale);
        }
        let (classes, rows) = (shape[shape.len() - 1], Shape(shape[..shape.len() - 1].to_vec()));
        case.below(rows, classes as u32)
    };
    let of = |each| {
        [
            case(each, &[1, 1], 1, 1.0),
            case(each, &[67, 10], 66, 3.0),
            case(each, &[5, 31], 5, 1e4),
            case(each, &[3, 5, 7, 11], 2, 4.0),
        ]
    };
    // Every third label is ignored.
    let counted = |each| {
        let control = Control { valid: 3, samples: 1000, ..Control::default() };
        let mut case = Case::new(OneHotLoss { each, counted: true }).words([Control::WORDS], control.words());
        case = case.random([4, 7, 5]).below([4, 7], 5).floats([5], vec![1.0 / 14.0; 5]);
        if let crate::ir::values::Values::Word(labels) = &mut case.x[2].1 {
            labels.iter_mut().step_by(3).for_each(|label| *label = IGNORED);
        }
        case
    };
    Each::ALL.into_iter().flat_map(of).chain(Each::ALL.map(counted)).collect()
}
