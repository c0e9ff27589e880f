//! Softmax cross-entropy of integer labels: loss, correct counts, and the gradient it keeps for backward.

use crate::ir::element::IGNORED;
use crate::ops::loss::round;
use crate::ops::loss::scale_rows::ScaleRows;
use crate::ops::loss::softmax_fast::Row;
use crate::ops::prelude::*;
use crate::step::control::Control;
use pulp::Arch;
use std::fmt;

kernels! {
    SOFTMAX_CE = "loss/softmax_ce",
    SOFTMAX_CE_MIXED = "loss/softmax_ce_mixed",
    SOFTMAX_CE_WEIGHTED = "loss/softmax_ce_weighted",
    SOFTMAX_CE_WIDE = "loss/softmax_ce_wide",
}

/// More classes than these keep a workgroup busy with one row; an invocation alone takes too long for them.
const NARROW: usize = 1024;

/// Rows that one thread of the native CPU takes at a time.
const ROWS: usize = 64;

/// The arguments are the control block, logits [batch, …, classes] and labels, one per row of logits: [batch, …]. The
/// results are loss (each row's share of the batch's mean) and correct (0 or 1), both shaped as the labels, and delta,
/// shaped as the logits: the gradient of the mean loss. Rows beyond the valid samples give zero, and so do rows whose label is
/// [`IGNORED`]; with `scale` the mean is over the others.
///
/// The target of a row is `t[c] = (1 - smoothing)·[c = label] + smoothing / classes`. Where the batch is `mixed` two
/// more arguments follow, the label `other` and the label's `share` λ, one of each a row: λ·[c = label] + (1 - λ)·[c =
/// other] takes the place of the label, and the larger of the two counts as the truth. Where it is `weighted`, one more
/// argument follows, `scale [classes]`, weights over their sum over the batch: every `t[c]` is multiplied by its class's,
/// which takes the place of one over the rows.
#[derive(Clone, Copy, Default, PartialEq)]
pub struct SoftmaxCe {
    /// Whether a row has two labels.
    pub mixed: bool,
    /// Whether classes have weights; not together with `mixed`.
    pub weighted: bool,
    /// The part of the target that is spread over all classes.
    pub smoothing: f32,
}

/// A listing of the plain loss is as short as its name.
impl fmt::Debug for SoftmaxCe {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let SoftmaxCe { mixed, weighted, smoothing } = *self;
        write!(f, "SoftmaxCe")?;
        let said = [
            (mixed, "mixed".into()),
            (weighted, "weighted".into()),
            (smoothing > 0.0, format!("smoothing {smoothing}")),
        ];
        let said: Vec<String> = said.into_iter().filter(|(there, _)| *there).map(|(_, word)| word).collect();
        if said.is_empty() { Ok(()) } else { write!(f, " {{ {} }}", said.join(", ")) }
    }
}

impl SoftmaxCe {
    fn arguments(self) -> usize {
        3 + if self.mixed { 2 } else { 0 } + usize::from(self.weighted)
    }

    /// Runs `row` on each row: its logits, its targets, the class that counts as the truth, its delta.
    fn rows<F: Real>(
        &self,
        x: &[In<F>],
        y: &mut [Out<F>],
        row: impl Fn(&[F], &[F], usize, &mut [F]) -> (F, u32) + Sync,
    ) {
        let (logits, labels) = (x[1].floats(), x[2].words());
        let classes = logits.len() / labels.len();
        let valid = Control::read(x[0].words()).valid as usize * (labels.len() / x[1].shape[0]);
        let mixed = self.mixed.then(|| (x[3].words(), x[4].floats()));
        let scale = self.weighted.then(|| x[self.arguments() - 1].floats());
        let [loss, correct, delta] = results(y);
        let (loss, correct, delta) = (loss.floats(), correct.words(), delta.floats());
        let share = if self.weighted { F::of(1.0) } else { F::of(1.0 / valid as f64) };
        let (rest, spread) =
            (F::of(1.0) - F::of(self.smoothing.into()), F::of(f64::from(self.smoothing) / classes as f64));
        let chunks =
            delta.par_chunks_mut(ROWS * classes).zip(loss.par_chunks_mut(ROWS)).zip(correct.par_chunks_mut(ROWS));
        chunks.enumerate().for_each(|(chunk, ((delta, loss), correct))| {
            let mut targets = vec![F::of(0.0); classes];
            for (i, delta) in delta.chunks_mut(classes).enumerate() {
                let b = chunk * ROWS + i;
                let (k, half) = (labels[b], F::of(0.5));
                let (other, part) = mixed.map_or((k, F::of(1.0)), |(other, share)| (other[b], share[b]));
                let counts = b < valid && k != IGNORED && other != IGNORED;
                let [k, other] = [k, other].map(|k| if k == IGNORED { 0 } else { k as usize });
                targets.fill(F::of(0.0));
                targets[k] += part;
                targets[other] += F::of(1.0) - part;
                for (c, t) in targets.iter_mut().enumerate() {
                    *t = (rest * *t + spread) * scale.map_or(F::of(1.0), |scale| scale[c]);
                }
                let truth = if part >= half { k } else { other };
                let (value, right) = row(&logits[b * classes..][..classes], &targets, truth, delta);
                let share = if counts { share } else { F::of(0.0) };
                loss[i] = value * share;
                correct[i] = if counts { right } else { 0 };
                delta.iter_mut().for_each(|d| *d = *d * share);
            }
        });
    }
}

impl Reference for SoftmaxCe {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.rows(x, y, |logits, targets, truth, delta| {
            let best = (1..logits.len()).fold(0, |best, c| if logits[c] > logits[best] { c } else { best });
            let most = logits[best];
            delta.iter_mut().zip(logits).for_each(|(d, x)| *d = (*x - most).exp());
            let sum = sums::total(delta.iter().copied());
            let meant = || targets.iter().zip(logits).filter(|(t, _)| **t != F::of(0.0));
            // In double precision: a small share of each of many classes is lost beside the label's own.
            let all = F::of(meant().map(|(t, _)| t.f64()).sum());
            let near = F::of(meant().map(|(t, x)| (*t * (*x - most)).f64()).sum());
            for (d, t) in delta.iter_mut().zip(targets) {
                *d = all * (*d / sum) - *t;
            }
            (all * sum.ln() - near, u32::from(best == truth))
        });
    }
}

impl Op for SoftmaxCe {
    fn name(&self) -> &'static str {
        "softmax_ce"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        if self.mixed && self.weighted {
            return Err("weights of classes do not go together with mixed labels".into());
        }
        let found = x.len();
        let &[_, logits, labels, ref more @ ..] = x else {
            return Err(format!("{found} arguments where 3 are expected"));
        };
        if found != self.arguments() {
            return Err(format!("{found} arguments where {} are expected", self.arguments()));
        }
        let shape = &logits.shape.0;
        let rows = match shape.split_last() {
            Some((_, rows)) if !rows.is_empty() && !shape.contains(&0) => Shape(rows.to_vec()),
            _ => return Err(format!("logits {}, expected [batch, …, classes], none of them 0", logits.shape)),
        };
        let (count, classes) = (rows.elements(), shape[rows.0.len()]);
        if labels.elements() != count {
            return Err(format!("{count} rows of logits but {} labels", labels.elements()));
        }
        let expected = if self.weighted { classes } else { count };
        if let Some(wrong) = more.iter().find(|more| more.elements() != expected) {
            return Err(format!("{} of {} elements, expected {expected}", wrong.name, wrong.elements()));
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
        let mut gradients = vec![None; self.arguments()];
        gradients[1] = Some(dx);
        Ok(gradients)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (batch, rows) = (cx.shape(cx.x[1])[0], cx.elements(cx.y[0]));
        let classes = cx.elements(cx.x[1]) / rows;
        let wide = classes > NARROW && !self.mixed;
        let source = match (self.mixed, self.weighted) {
            _ if wide => SOFTMAX_CE_WIDE,
            (true, _) => SOFTMAX_CE_MIXED,
            (false, true) => SOFTMAX_CE_WEIGHTED,
            (false, false) => SOFTMAX_CE,
        };
        let round = if wide { vec![] } else { round(classes).to_vec() };
        let mut launch = cx.kernel(source, &round)?.size("batch", rows).size("classes", classes);
        // What the kernel has as a default is left out, so that a plain loss's listing stays short.
        if rows != batch {
            launch = launch.size("places", rows / batch);
        }
        if self.smoothing != 0.0 {
            launch = launch.set("smoothing", self.smoothing);
        }
        let launch = launch.bind("control", cx.x[0]).bind("logits", cx.x[1]).bind("labels", cx.x[2]);
        let launch = match (self.mixed, self.weighted) {
            (true, _) => launch.bind("other", cx.x[3]).bind("share", cx.x[4]),
            (_, true) => launch.set("weighted", true).bind("scale", cx.x[3]),
            // Where there are no weights the kernel does not read them, and any float buffer will do.
            _ if wide => launch.set("weighted", false).bind("scale", cx.x[1]),
            _ => launch,
        };
        let launch = launch.bind("loss", cx.y[0]).bind("correct", cx.y[1]).bind("delta", cx.y[2]);
        if wide { cx.groups(launch, rows) } else { cx.invocations(launch, rows) }
    }

    /// The exponents are exact to a rounding, exp is good to 3 + 2|x| ULP with |x|·eˣ below 0.37 here, and
    /// log to 2⁻²¹ = 8 u near one (WGSL, "Accuracy of Concrete Floating Point Expressions").
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].shape.0.last().copied().unwrap_or(1), ulps: 20.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.rows(x, y, |logits, targets, _, delta| {
            let most = logits.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            let all: f64 = targets.iter().sum();
            let near: f64 = targets.iter().zip(logits).map(|(t, x)| t * x.abs()).sum();
            delta.fill(all);
            (all * (1.0 + most) + near, 1)
        });
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        if self.mixed {
            return self.reference(x, y);
        }
        let ((logits, labels), arch) = ((x[1].floats(), x[2].words()), Arch::new());
        let classes = logits.len() / labels.len();
        let valid = Control::read(x[0].words()).valid as usize * (labels.len() / x[1].shape[0]);
        let [loss, correct, delta] = results(y);
        let (rest, spread) = (1.0 - self.smoothing, self.smoothing / classes as f32);
        let scale = self.weighted.then(|| x[3].floats());
        let (scales, share) = match scale {
            Some(scale) => (scale.iter().map(|scale| f64::from(*scale)).sum(), 1.0),
            None => (classes as f64, 1.0 / valid as f32),
        };
        let rows = delta.floats().par_chunks_mut(classes).zip(loss.floats()).zip(correct.words()).enumerate();
        rows.with_min_len((ROWS * NARROW).div_ceil(classes).min(ROWS)).for_each(|(b, ((delta, loss), correct))| {
            let label = labels[b];
            (*loss, *correct) = (0.0, 0);
            if b >= valid || label == IGNORED {
                return delta.fill(0.0);
            }
            let (logits, truth) = (&logits[b * classes..][..classes], label as usize);
            let own = rest * scale.map_or(1.0, |scale| scale[truth]);
            let all = f64::from(own) + f64::from(spread) * scales;
            let row = Row { logits, truth, own, spread, scale, all, share, delta };
            let (value, right) = arch.dispatch(row);
            (*loss, *correct) = (value * share, right.into());
        });
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let scaled = |op: SoftmaxCe, shape: &[usize], valid: u32, scale: f32| {
        let control = Control { valid, samples: 1000, ..Control::default() };
        let mut case = Case::new(op).words([Control::WORDS], control.words()).random(Shape(shape.to_vec()));
        if let crate::ir::values::Values::Float(logits) = &mut case.x[1].1 {
            logits.iter_mut().for_each(|x| *x *= scale);
        }
        let (classes, rows) = (shape[shape.len() - 1], Shape(shape[..shape.len() - 1].to_vec()));
        let case = case.below(rows.clone(), classes as u32);
        // A share at either end, in the middle and beyond it; the two labels are the same here and there.
        let shares = (0..rows.elements()).map(|b| [0.3, 1.0, 0.5, 0.0, 0.875][b % 5]).collect();
        let scales = (0..classes).map(|c| [0.25, 0.0, 1.5][c % 3] / rows.elements() as f32).collect();
        match (op.mixed, op.weighted) {
            (true, _) => case.below(rows.clone(), classes as u32).floats(rows, shares),
            (_, true) => case.floats([classes], scales),
            _ => case,
        }
    };
    let plain = SoftmaxCe::default();
    let case = |batch: usize, classes: usize, valid: u32, scale: f32| scaled(plain, &[batch, classes], valid, scale);
    let equal = Case::new(plain)
        .words([Control::WORDS], Control { valid: 4, samples: 4, ..Control::default() }.words())
        .floats([4, 3], vec![2.5; 12])
        .words([4], vec![0, 1, 2, 0]);
    let mut cases =
        vec![equal, case(1, 2, 1, 1.0), case(130, 10, 97, 3.0), case(7, 31, 7, 1e4), case(65, 257, 65, 30.0)];
    let mixed = SoftmaxCe { mixed: true, ..plain };
    let weighted = SoftmaxCe { weighted: true, ..plain };
    for op in [plain, mixed, weighted] {
        for op in [op, SoftmaxCe { smoothing: 0.1, ..op }] {
            cases.push(scaled(op, &[1, 1], 1, 1.0));
            cases.push(scaled(op, &[67, 10], 66, 3.0));
            cases.push(scaled(op, &[5, 31], 5, 1e4));
            cases.push(scaled(op, &[3, 5, 7, 11], 2, 4.0));
            cases.push(scaled(op, &[2, 65_536], 2, 3.0));
        }
    }
    cases.push(scaled(SoftmaxCe { smoothing: 1.0, ..plain }, &[3, 4], 3, 1.0));
    // Every third label is ignored.
    let smooth = SoftmaxCe { smoothing: 0.1, ..weighted };
    let ops = [(plain, 7), (mixed, 7), (weighted, 7), (smooth, 7), (plain, 1500), (smooth, NARROW + 1)];
    for (op, classes) in ops {
        let mut case = scaled(op, &[4, 5, classes], 3, 3.0);
        if let crate::ir::values::Values::Word(labels) = &mut case.x[2].1 {
            labels.iter_mut().step_by(3).for_each(|label| *label = IGNORED);
        }
        cases.push(case);
    }
    cases
}
