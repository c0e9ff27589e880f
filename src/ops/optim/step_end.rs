//! Closes a step: writes its record to the log and moves the control block on to the next batch.

use crate::ops::prelude::*;
use crate::step::control::Control;
use crate::step::nonfinite;
use crate::step::schedule::{Rates, Schedule};

kernels! {
    STEP_END = "optim/step_end",
    STEP_END_COUNTED = "optim/step_end_counted",
    STEP_END_WEIGHTED = "optim/step_end_weighted",
}

/// The numbers of a record: mean loss, correct, samples, fault, the weight of the mean loss, and the targets that count, or 0
/// where these are not counted.
pub const RECORD: usize = 6;

/// The weight of a batch's mean loss in a mean over batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weighing {
    /// Its samples; none of its targets is ignored.
    #[default]
    Samples,
    /// Its samples; targets may be ignored, so those that count are counted.
    Counted,
    /// The sum of the weights of its targets, which are counted.
    Weights,
}

/// The arguments are loss `[batch]`, correct `[batch]`, the optimizer's fault `[1]` and, except for
/// [`Weighing::Samples`], the sum of the batch's weights and the number of its targets `[2]`; updated in place are the
/// control block and the log [capacity, [`RECORD`]], whose record of step s is at s mod capacity.
#[derive(Clone, Copy)]
pub struct StepEnd {
    /// Rows of a batch.
    pub batch: usize,
    /// Number of records in the log before it starts again.
    pub capacity: usize,
    /// The optimizer's β₁ and β₂, for the bias corrections; 0 where it has none.
    pub betas: [f64; 2],
    /// The learning rates of the steps.
    pub rates: Rates,
    /// Batches of an update, by which rates and corrections go.
    pub accumulate: u32,
    /// The weight of the mean loss.
    pub weighing: Weighing,
}

/// As it would be derived, without what is not accumulated and not weighted.
impl std::fmt::Debug for StepEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let StepEnd { batch, capacity, betas, rates, accumulate, weighing } = self;
        let mut text = f.debug_struct("StepEnd");
        text.field("batch", batch).field("capacity", capacity).field("betas", betas).field("rates", rates);
        if *accumulate != 1 {
            text.field("accumulate", accumulate);
        }
        if *weighing != Weighing::Samples {
            text.field("weighing", weighing);
        }
        text.finish()
    }
}

impl Reference for StepEnd {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (loss, correct, found) = (x[0].floats(), x[1].words(), x[2].words()[0]);
        let sum = sums::total(loss.iter().copied());
        let [control, log] = results(y);
        let mut c = Control::read(control.words());
        let record = &mut log.floats()[c.step as usize % self.capacity * RECORD..][..RECORD];
        let right: u32 = correct.iter().sum();
        let found = found | if sum.is_finite() { 0 } else { nonfinite::LOSS };
        let [right, valid, found] = [right, c.valid, found].map(|count| F::of(count.into()));
        let (weight, targets) = match self.weighing {
            Weighing::Samples => (valid, F::of(0.0)),
            Weighing::Counted => (valid, x[3].floats()[1]),
            Weighing::Weights => (x[3].floats()[0], x[3].floats()[1]),
        };
        record.copy_from_slice(&[sum, right, valid, found, weight, targets]);
        let is_update = c.ends_update(self.batch as u32, self.accumulate);
        c.weight = if self.weighing == Weighing::Weights && !is_update { c.weight + weight.f64() as f32 } else { 0.0 };
        c.step += 1;
        c.first += c.valid;
        if c.first >= c.samples {
            (c.first, c.epoch) = (0, c.epoch + 1);
        }
        c.valid = (c.samples - c.first).min(self.batch as u32);
        if is_update {
            c.correction1 += (1.0 - self.betas[0]) as f32 * (1.0 - c.correction1);
            c.correction2 += (1.0 - self.betas[1]) as f32 * (1.0 - c.correction2);
        }
        if !self.rates.is_constant() {
            c.rate = self.rates.at(c.updates(self.batch as u32, self.accumulate)) as f32;
        }
        control.words()[..Control::WORDS].copy_from_slice(&c.words());
    }
}

impl Op for StepEnd {
    fn name(&self) -> &'static str {
        "step_end"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        if x.len() != 3 + usize::from(self.weighing != Weighing::Samples) {
            return Err(
                "losses, counts and a fault are expected, and a batch's weight where targets are counted".into()
            );
        }
        let [loss, correct, fault] = [x[0], x[1], x[2]];
        if loss.elements() != self.batch || correct.elements() != self.batch || fault.elements() != 1 {
            return Err(format!("one loss and one count a row, {} of each, and a fault are expected", self.batch));
        }
        Ok(vec![TensorInfo::words("control", [Control::WORDS]), TensorInfo::floats("log", [self.capacity, RECORD])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None; 3 + usize::from(self.weighing != Weighing::Samples)])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let kernel = match self.weighing {
            Weighing::Samples => STEP_END,
            Weighing::Counted => STEP_END_COUNTED,
            Weighing::Weights => STEP_END_WEIGHTED,
        };
        let launch = cx.kernel(kernel, &[])?.size("batch", self.batch).size("capacity", self.capacity);
        let launch = launch.set("rest1", 1.0 - self.betas[0]).set("rest2", 1.0 - self.betas[1]);
        // One pipeline for all constant rates.
        let rates = if self.rates.is_constant() { Rates::constant(0.0) } else { self.rates };
        let Rates { base, schedule, warmup, total } = rates;
        let (kind, every, gamma) = match schedule {
            Schedule::Constant => (u32::from(warmup > 0), 1, 1.0),
            Schedule::Step { every, gamma } => (1, every.max(1), gamma),
            Schedule::Cosine { .. } => (2, 1, 1.0),
            Schedule::OneCycle { .. } => (3, 1, 1.0),
        };
        let launch = launch.set("schedule", kind).set("base", base).set("warmup", warmup).set("total", total);
        let launch = launch.set("every", every).set("gamma", gamma);
        let [up, start, end] = match schedule {
            Schedule::Cosine { least } => [0.0, 0.0, least / base],
            Schedule::OneCycle { up, start, end } => [up, 1.0 / start, 1.0 / start / end],
            _ => [0.0; 3],
        };
        let launch = launch.set("up", up).set("start", start).set("end", end);
        let launch = if self.accumulate == 1 { launch } else { launch.set("accumulate", self.accumulate) };
        let launch = launch.bind("loss", cx.x[0]).bind("correct", cx.x[1]).bind("fault", cx.x[2]);
        let launch = launch.bind("control", cx.y[0]).bind("step_log", cx.y[1]);
        let weight = cx.x.get(3).copied();
        cx.groups(weight.into_iter().fold(launch, |launch, weight| launch.bind("batch_weight", weight)), 1)
    }

    /// The learning rate, Adam's two corrections and the weight carried on.
    fn float_words(&self, result: usize) -> std::ops::Range<usize> {
        if result == 0 { 6..10 } else { 0..0 }
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        // The rates: some twenty roundings and powers of gamma, on numbers up to the base.
        let powers = match self.rates.schedule {
            Schedule::Step { .. } => f64::from(self.rates.total),
            _ => 0.0,
        };
        let ulps = if self.rates.is_constant() { 1.0 } else { 32.0 + powers };
        Rounding { terms: x[0].elements(), ulps }
    }

    /// A rate near zero is the difference of larger ones.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let absolute: Vec<f64> = x[0].floats().iter().map(|loss| loss.abs()).collect();
        let loss = In { shape: x[0].shape, elements: crate::ir::op::Elements::Float(&absolute) };
        let mut x = x.to_vec();
        x[0] = loss;
        self.reference(&x, y);
        if !self.rates.is_constant() {
            y[0].words()[6] = (self.rates.base as f32).to_bits();
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let weighing = |batch: usize, first, samples, step, rates, accumulate, weighing, weight: Option<[f32; 2]>| {
        let valid = (batch as u32).min(samples - first);
        let epoch = if accumulate == 1 { 0 } else { step / 9 };
        let control =
            Control { step, epoch, first, valid, samples, correction1: 0.1, correction2: 0.001, ..Control::default() };
        let control = Control { weight: weight.map_or(0.0, |[before, _]| before), ..control };
        let op = StepEnd { batch, capacity: 5, betas: [0.9, 0.999], rates, accumulate, weighing };
        let case = Case::new(op).random([batch]).below([batch], 2).words([1], vec![step % 8]);
        let case = weight.into_iter().fold(case, |case, [_, batch]| case.floats([2], vec![batch, 77.0]));
        case.words([Control::WORDS], control.words()).in_place().random([5, RECORD]).in_place()
    };
    let accumulated = |batch, first, samples, step, rates, accumulate| {
        weighing(batch, first, samples, step, rates, accumulate, Weighing::Samples, None)
    };
    let scheduled = |batch, first, samples, step, rates| accumulated(batch, first, samples, step, rates, 1);
    let case = |batch, first, samples, step| scheduled(batch, first, samples, step, Rates::constant(1e-3));
    let mut cases = vec![case(1, 0, 1, 0), case(7, 14, 20, 13), case(129, 0, 1000, 4)];
    let step = Schedule::Step { every: 3, gamma: 0.7 };
    for schedule in [
        Schedule::Constant,
        step,
        Schedule::Cosine { least: 0.0 },
        Schedule::Cosine { least: 0.03 },
        Schedule::one_cycle([None; 3]),
        Schedule::OneCycle { up: 0.5, start: 4.0, end: 10.0 },
    ] {
        for (step, warmup, total) in
            [(0, 0, 1), (3, 5, 40), (8, 5, 40), (10, 0, 40), (11, 0, 40), (38, 0, 40), (50, 0, 40)]
        {
            let rates = Rates { base: 0.3, schedule, warmup, total };
            cases.push(scheduled(3, 0, 100, step, rates));
        }
    }
    // Nine batches of 3 an epoch, the last of 1: within an update, at its end, and at the epoch's.
    for (first, step) in [(0, 0), (3, 1), (21, 25), (24, 8)] {
        let rates = Rates { base: 0.3, schedule: Schedule::Cosine { least: 0.0 }, warmup: 3, total: 20 };
        cases.push(accumulated(3, first, 25, step, rates, 2));
        for by in [Weighing::Counted, Weighing::Weights] {
            cases.push(weighing(3, first, 25, step, rates, 2, by, Some([1.5, 2.25])));
        }
    }
    cases
}
