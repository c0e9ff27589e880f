//! Losses of each logit by itself, against the one-hot form of the label: binary cross-entropy, squares, Huber's.
//!
//! One more is an entry of the table here and a `case` of its number in the shader.

use crate::ops::loss::scale_rows::ScaleRows;
use crate::ops::prelude::*;
use crate::step::control::Control;

pub(in crate::ops) const KERNELS: &[Source] = &[shader!("loss/one_hot_loss")];

/// The loss of a logit. Its number is the kernel's `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Each {
    /// Cross-entropy of a yes or no whose probability is the logit's sigmoid; PyTorch's `BCEWithLogitsLoss`.
    Bce,
    /// The square of the difference; PyTorch's `MSELoss`.
    Mse,
    /// Half the square of the difference up to 1, linear beyond; PyTorch's `HuberLoss`.
    Huber,
}

impl Each {
    /// Every one, in the order of their numbers.
    pub const ALL: [Each; 3] = [Each::Bce, Each::Mse, Each::Huber];

    /// The loss of x against the target t, and its derivative.
    fn at<F: Real>(self, x: F, t: F) -> [F; 2] {
        let [zero, half, one, two] = [0.0, 0.5, 1.0, 2.0].map(F::of);
        let abs = |x: F| if x < zero { -x } else { x };
        let d = x - t;
        match self {
            Each::Bce => {
                let e = (-abs(x)).exp();
                let p = if x >= zero { one } else { e } / (one + e);
                let positive = if x > zero { x } else { zero };
                [positive - x * t + (one + e).ln(), p - t]
            }
            Each::Mse => [d * d, two * d],
            Each::Huber if abs(d) <= one => [half * d * d, d],
            Each::Huber => [abs(d) - half, if d > zero { one } else { -one }],
        }
    }

    /// What the roundings of both scale with.
    fn sizes(self, x: f64) -> [f64; 2] {
        let most = x.abs() + 1.0;
        match self {
            Each::Bce => [most, 1.0],
            Each::Mse => [most * most, 2.0 * most],
            Each::Huber => [most * most.min(2.0), most.min(2.0)],
        }
    }
}

/// The arguments are the control block, logits [batch, …, classes] and labels, one a row of logits: [batch, …]; the results
/// loss (each row's share of the mean over all logits), correct (0 or 1), both shaped as the labels, and delta, shaped as
/// the logits: the gradient of the mean loss. Rows beyond the valid samples give zero.
#[derive(Clone, Copy, Debug)]
pub struct OneHotLoss(pub Each);

impl OneHotLoss {
    fn rows<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>], each: impl Fn(F, F) -> [F; 2] + Sync) {
        let (logits, labels) = (x[1].floats(), x[2].words());
        let classes = logits.len() / labels.len();
        let valid = Control::read(x[0].words()).valid as usize * (labels.len() / x[1].shape[0]);
        let share = F::of(1.0 / (valid as f64 * classes as f64));
        let [loss, correct, delta] = results(y);
        let rows = delta.floats().par_chunks_mut(classes).zip(loss.floats()).zip(correct.words()).enumerate();
        rows.for_each(|(b, ((delta, loss), correct))| {
            let (row, k) = (&logits[b * classes..][..classes], labels[b] as usize);
            let best = (1..classes).fold(0, |best, c| if row[c] > row[best] { c } else { best });
            let share = if b < valid { share } else { F::of(0.0) };
            let mut sum = F::of(0.0);
            for (c, (x, delta)) in row.iter().zip(delta).enumerate() {
                let [value, slope] = each(*x, F::of(f64::from(u8::from(c == k))));
                sum += value;
                *delta = slope * share;
            }
            *loss = sum * share;
            *correct = u32::from(b < valid && best == k);
        });
    }
}

impl Reference for OneHotLoss {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.rows(x, y, |x, t| self.0.at(x, t));
    }
}

impl Op for OneHotLoss {
    fn name(&self) -> &'static str {
        "one_hot_loss"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, logits, labels] = arguments(x)?;
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
        Ok(vec![None, Some(dx), None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (batch, rows) = (cx.shape(cx.x[1])[0], cx.elements(cx.y[0]));
        let launch = cx.kernel(KERNELS[0], &[])?.size("batch", rows).size("places", rows / batch);
        let launch = launch.size("classes", cx.elements(cx.x[1]) / rows).set("kind", self.0 as u32);
        let launch = launch.bind("control", cx.x[0]).bind("logits", cx.x[1]).bind("labels", cx.x[2]);
        let launch = launch.bind("loss", cx.y[0]).bind("correct", cx.y[1]).bind("delta", cx.y[2]);
        cx.invocations(launch, rows)
    }

    /// As for the softmax: exp is good to 3 ULP and more of what is small, log to 8 u near one, a division to 2.5 ULP.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].shape.0.last().copied().unwrap_or(1), ulps: 24.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.rows(x, y, |x, _| self.0.sizes(x));
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |each: Each, shape: &[usize], valid: u32, scale: f32| {
        let control = Control { valid, samples: 1000, ..Control::default() };
        let mut case =
            Case::new(OneHotLoss(each)).words([Control::WORDS], control.words()).random(Shape(shape.to_vec()));
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
    Each::ALL.into_iter().flat_map(of).collect()
}
