//! Soft Dice loss over classes, by itself or with cross-entropy: loss, correct counts, and the gradient it keeps for backward.

use crate::ir::element::IGNORED;
use crate::ops::loss::dice_sums;
use crate::ops::loss::scale_rows::ScaleRows;
use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    DICE = "loss/dice",
}

/// The arguments are the control block, logits [batch, …, classes], labels [batch, …], the logarithm of the sum of each row's
/// exponentials [batch, …], and the sums of [`DiceSums`](super::dice_sums::DiceSums); the results are loss (each row's share of
/// the batch's mean) and correct (0 or 1), both shaped as the labels, and delta, shaped as the logits.
///
/// The loss of a sample is that of segmentation-models-pytorch's `DiceLoss("multiclass")`, without smoothing: the mean over
/// all classes of 1 - 2·Σ p·t / Σ (p + t), where a class that the sample lacks gives 0. Each sample is by itself, as MONAI
/// and torchmetrics have it, and the batch's loss is their mean, so that it does not depend on the batch's size. With `cross` the mean
/// cross-entropy of the sample's pixels is added. Rows beyond the valid samples give zero, and so do rows whose label is [`IGNORED`].
#[derive(Clone, Copy, Debug)]
pub struct Dice {
    /// Whether cross-entropy is added.
    pub cross: bool,
}

/// The values from which the loss and delta of a place are computed.
struct Place<'a, F> {
    logits: &'a [F],
    whole: F,
    /// Intersections, predicted and true sizes of its sample's classes.
    sums: [&'a [F]; 3],
    label: usize,
    cross: F,
    /// One over the valid samples.
    share: F,
}

impl<F: Real> Place<'_, F> {
    /// Fills in delta; the loss and whether the largest logit is the label's.
    fn run(&self, delta: &mut [F]) -> (F, u32) {
        let Place { logits, whole, sums: [both, predicted, truth], label, cross, share } = *self;
        let (zero, one, two) = (F::of(0.0), F::of(1.0), F::of(2.0));
        let classes = F::of(logits.len() as f64);
        let n = truth.iter().fold(zero, |n, count| n + *count);
        let (mut all, mut mean) = (zero, zero);
        for (c, g) in delta.iter_mut().enumerate() {
            let size = predicted[c] + truth[c];
            *g = zero;
            if truth[c] > zero {
                all += one - two * both[c] / size;
                let own = if c == label { two / size } else { zero };
                *g = (two * both[c] / (size * size) - own) / classes;
                mean += (logits[c] - whole).exp() * *g;
            }
        }
        let best = (1..logits.len()).fold(0, |best, c| if logits[c] > logits[best] { c } else { best });
        for (c, g) in delta.iter_mut().enumerate() {
            let (p, t) = ((logits[c] - whole).exp(), if c == label { one } else { zero });
            *g = (p * (*g - mean) + cross * (p - t) / n) * share;
        }
        ((all / classes + cross * (whole - logits[label])) / n * share, u32::from(best == label))
    }

    /// The sizes that the tolerances of delta and of the loss go by: every part by its absolute value, and a probability with
    /// the rounding of its exponent.
    fn sizes(&self, delta: &mut [f64]) -> f64 {
        let f = |x: &F| x.f64();
        let classes = self.logits.len() as f64;
        let whole = f(&self.whole);
        let n: f64 = self.sums[2].iter().map(f).sum();
        let p = |c: usize| (f(&self.logits[c]) - whole).exp() * (1.0 + f(&self.logits[c]).abs() + whole.abs());
        let g = |c: usize| {
            let [both, predicted, truth] = self.sums.map(|sums| f(&sums[c]));
            let size = predicted + truth;
            if truth > 0.0 { (2.0 * both / (size * size) + 2.0 / size) / classes } else { 0.0 }
        };
        let mean: f64 = (0..self.logits.len()).map(|c| p(c) * g(c)).sum();
        let cross = f(&self.cross);
        for (c, delta) in delta.iter_mut().enumerate() {
            let t = if c == self.label { 1.0 } else { 0.0 };
            *delta = (p(c) * (g(c) + mean) + cross * (p(c) + t) / n) * f(&self.share);
        }
        (2.0 + cross * (whole.abs() + f(&self.logits[self.label]).abs())) / n * f(&self.share)
    }
}

impl Dice {
    /// Runs `row` on each place that counts.
    fn places<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>], row: impl Fn(Place<F>, &mut [F]) -> (F, u32) + Sync) {
        let (logits, labels, whole, sums) = (x[1].floats(), x[2].words(), x[3].floats(), x[4].floats());
        let classes = logits.len() / labels.len();
        let places = labels.len() / x[1].shape[0];
        let valid = Control::read(x[0].words()).valid as usize;
        let [loss, correct, delta] = results(y);
        let rows = delta.floats().par_chunks_mut(classes).zip(loss.floats()).zip(correct.words());
        let cross = F::of(if self.cross { 1.0 } else { 0.0 });
        rows.enumerate().for_each(|(r, ((delta, loss), correct))| {
            let b = r / places;
            if b >= valid || labels[r] == IGNORED {
                delta.fill(F::of(0.0));
                (*loss, *correct) = (F::of(0.0), 0);
                return;
            }
            let of = |part: usize| &sums[(b * 3 + part) * classes..][..classes];
            let place = Place {
                logits: &logits[r * classes..][..classes],
                whole: whole[r],
                sums: [of(0), of(1), of(2)],
                label: labels[r] as usize,
                cross,
                share: F::of(1.0 / valid as f64),
            };
            (*loss, *correct) = row(place, delta);
        });
    }
}

impl Reference for Dice {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.places(x, y, |place, delta| place.run(delta));
    }
}

impl Op for Dice {
    fn name(&self) -> &'static str {
        "dice"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, logits, labels, whole, sums] = arguments(x)?;
        let (batch, rows, classes) = match logits.shape.0.split_last() {
            Some((classes, rows)) if !rows.is_empty() && logits.elements() > 0 => {
                (rows[0], Shape(rows.to_vec()), *classes)
            }
            _ => return Err(format!("logits {}, expected [batch, …, classes], none of them 0", logits.shape)),
        };
        let count = rows.elements();
        if labels.elements() != count || whole.elements() != count || sums.elements() != batch * 3 * classes {
            return Err(format!(
                "{count} rows of logits, expected as many labels, and three sums per class of each sample"
            ));
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
        Ok(vec![None, Some(dx), None, None, None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (batch, rows) = (cx.shape(cx.x[1])[0], cx.elements(cx.y[0]));
        let classes = cx.elements(cx.x[1]) / rows;
        let launch = cx.kernel(DICE, &[])?.sizes(&[("batch", batch), ("places", rows / batch), ("classes", classes)]);
        let launch = launch.set("cross", if self.cross { 1.0f32 } else { 0.0 });
        let launch = launch.bind("control", cx.x[0]).bind("logits", cx.x[1]).bind("labels", cx.x[2]);
        let launch = launch.bind("whole", cx.x[3]).bind("sums", cx.x[4]);
        let launch = launch.bind("loss", cx.y[0]).bind("correct", cx.y[1]).bind("delta", cx.y[2]);
        cx.invocations(launch, rows)
    }

    /// The sums run over the classes; exp is good to 3 + 2|x| ULP, each of the divisions to 2.5.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].shape.0.last().copied().unwrap_or(1), ulps: 32.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.places(x, y, |place, delta| (place.sizes(delta), 1));
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |cross: bool, shape: &[usize], valid: u32, scale: f32, ignored: bool| {
        let control = Control { valid, samples: 1000, ..Control::default() };
        let case = Case::new(Dice { cross }).words([Control::WORDS], control.words());
        let case = dice_sums::given(case, shape, scale, ignored);
        // The sums of these very logits and labels.
        let (batch, classes) = (shape[0], shape[shape.len() - 1]);
        let mut sums = vec![0f32; batch * 3 * classes];
        let x: Vec<In<f32>> = case.x[1..].iter().map(|(info, values)| values.arg(0, &info.shape.0)).collect();
        let sized = [batch, 3, classes];
        dice_sums::DiceSums.reference(&x, &mut [Out::Float(&mut sums)]);
        case.floats(sized, sums)
    };
    let mut cases = Vec::new();
    for cross in [false, true] {
        cases.push(case(cross, &[1, 1, 2], 1, 1.0, false));
        cases.push(case(cross, &[3, 5, 7, 4], 2, 3.0, true));
        cases.push(case(cross, &[2, 17, 19, 3], 2, 20.0, false));
        cases.push(case(cross, &[5, 1, 1, 21], 5, 4.0, true));
    }
    cases
}
