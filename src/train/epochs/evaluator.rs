//! Mean loss and accuracy of a model over a data set, and its answers for single images.

use crate::data::schema::{IGNORED, LABEL, NUMBERS};
use crate::data::{Column, Scale, Split};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ir::values::Values;
use crate::model::Model;
use crate::model::formats::weights::Weights;
use crate::ops::optim::step_end::Weighing;
use crate::step::control::Control;
use crate::train::epochs::confusion::Confusion;
use crate::train::epochs::engine::{Engine, Pace, Record};
use crate::train::epochs::feed;
use crate::train::epochs::feed::Feed;
use crate::train::epochs::scores::{NumberScore, Numbers};
use crate::train::settings::loss::Criterion;
use crate::train::step::Step;
use crate::train::step::window::limit_on;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Instant;

/// Sums over records of steps, in double precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    loss: f64,
    correct: u64,
    samples: u64,
    /// The sum of the weights of the losses, where they have weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
    /// Targets that count, where some may be ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    targets: Option<u64>,
    /// Of an older checkpoint: whether the weights are 1 for each target that counts, so that their sum is the number of these.
    #[serde(default, skip_serializing)]
    counted: bool,
    /// Targets of a sample beyond the first.
    #[serde(default, skip_serializing_if = "is_default")]
    further: u64,
    /// Targets of a sample that are ignored, on average.
    #[serde(default, skip_serializing_if = "is_default")]
    ignored: f64,
    /// Whether the targets are numbers, of which none is right or wrong.
    #[serde(default, skip_serializing_if = "is_default")]
    numbers: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Totals {
    /// No step yet of those that a step makes of a split.
    pub fn of(step: &Step, split: &Split) -> Self {
        let further = (step.positions as u64).saturating_sub(1);
        let ignored = match step.target().field.may_be_ignored() {
            true => split.each_label().filter(|label| *label == IGNORED).count() as f64 / split.count as f64,
            false => 0.0,
        };
        let weight = (step.weighing == Weighing::Weights).then_some(0.0);
        let targets = (step.weighing != Weighing::Samples).then_some(0);
        Totals { further, ignored, weight, targets, numbers: step.target().field.name == NUMBERS, ..Totals::default() }
    }

    /// No step yet, of such samples as these.
    pub fn cleared(&self) -> Self {
        let (weight, targets) = (self.weight.map(|_| 0.0), self.targets.map(|_| 0));
        Totals { loss: 0.0, correct: 0, samples: 0, weight, targets, ..*self }
    }

    /// Adds a step: its mean loss counts by its samples, or by its weight where losses have weights.
    pub fn add(&mut self, record: &Record) {
        let weight = self.weight.as_mut().map(|sum| {
            *sum += f64::from(record.weight);
            record.weight
        });
        self.loss += f64::from(record.loss) * weight.map_or(f64::from(record.samples), f64::from);
        self.targets.iter_mut().for_each(|targets| *targets += u64::from(record.targets));
        self.correct += u64::from(record.correct);
        self.samples += u64::from(record.samples);
    }

    /// The mean loss of a sample; where losses have weights, PyTorch's weighted mean, and 0 where all of them are 0.
    pub fn loss(&self) -> f64 {
        match self.weight {
            None => self.loss / self.samples as f64,
            Some(weight) if weight > 0.0 => self.loss / weight,
            Some(_) => 0.0,
        }
    }

    /// The share of samples, of their pixels or of their answers, that was right; ignored ones are not counted. Not a number
    /// where targets are numbers.
    pub fn accuracy(&self) -> f64 {
        match self.counted_targets() {
            _ if self.numbers => f64::NAN,
            Some(targets) if targets > 0 => self.correct as f64 / targets as f64,
            _ => self.correct as f64 / self.samples as f64 / (self.further as f64 + 1.0 - self.ignored),
        }
    }

    /// The number of targets that count.
    pub fn targets(&self) -> u64 {
        match self.counted_targets() {
            Some(targets) => targets,
            None => (self.samples as f64 * (self.further as f64 + 1.0 - self.ignored)).round() as u64,
        }
    }

    /// The number of targets that count, where they are counted.
    fn counted_targets(&self) -> Option<u64> {
        self.targets.or_else(|| self.weight.filter(|_| self.counted).map(|weight| weight.round() as u64))
    }

    /// The number of samples.
    pub fn samples(&self) -> u64 {
        self.samples
    }
}

/// A model's forward pass over a fixed data set, built on a device.
#[derive(Debug)]
pub struct Evaluator {
    pub(in crate::train) step: Step,
    engine: Engine,
    feed: Option<Feed>,
    start: Control,
    // No step yet.
    none: Totals,
    // The classes and labels of a model of masks, and what the last pass found of them.
    truth: Option<(usize, Column)>,
    pub(in crate::train) confusion: Option<Confusion>,
    // The targets of a model of numbers, and how near the last pass came to them.
    pub(in crate::train) targets: Option<(Vec<Scale>, Column)>,
    scores: Option<Vec<NumberScore>>,
}

impl Evaluator {
    /// Builds the pass and uploads the data; `batch` is cut to the data's size.
    pub fn new(device: &Device, model: &Model, split: &Split, batch: usize) -> Result<Self> {
        Evaluator::by(&Criterion::default(), device, model, split, batch, None)
    }

    /// `new` with another loss than the plain one, and with at most this many bytes of the data on the device, if a
    /// limit is given: the results are the same.
    pub fn by(
        criterion: &Criterion,
        device: &Device,
        model: &Model,
        split: &Split,
        batch: usize,
        limit: Option<u64>,
    ) -> Result<Self> {
        let limit = limit_on(device, split, limit);
        let step = Step::evaluation_by(criterion, model, &split.schema(), split.count, batch.min(split.count), limit)?;
        let labels = split.column(LABEL).filter(|_| step.mask.is_some());
        let truth = labels.map(|labels| Ok((model.classes()?, labels.clone()))).transpose()?;
        let mut engine = Engine::new(device, step.graph.clone(), step.log)?;
        let feed = Feed::begin(&mut engine, &step, split, None)?;
        let start = step.start(0, 1.0, [0.0; 2]);
        let targets = split.column(NUMBERS).map(|column| (column.field().scales.clone(), column.clone()));
        let none = Totals::of(&step, split);
        Ok(Evaluator { step, engine, feed, start, none, truth, confusion: None, targets, scores: None })
    }

    /// Takes weights from a file's order.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<()> {
        let weights = weights.to_graph(&self.step.graph)?;
        self.engine.write_all(weights.into_iter().map(|(tensor, values)| (tensor, Values::Float(values))))
    }

    /// Takes weights from a training step on the same device: their average, where one is kept.
    pub fn copy_weights(&mut self, step: &Step, engine: &Engine) -> Result<()> {
        self.engine.copy_from(self.step.params, engine, step.final_weights())
    }

    /// The classes of the pixels predicted in the last pass, for a segmentation model.
    pub fn confusion(&self) -> Option<&Confusion> {
        self.confusion.as_ref()
    }

    /// One pass over the data.
    pub async fn run(&mut self) -> Result<Totals> {
        if self.step.mask.is_some() {
            return self.run_masks(|_| Ok(())).await;
        }
        if self.targets.is_some() {
            return self.run_numbers().await.map(|(totals, _)| totals);
        }
        let records = self.records(0..self.step.steps_per_epoch() as u64).await?;
        Ok(self.total(&records))
    }

    /// The records of some steps of a pass over the data.
    pub(in crate::train) async fn records(&mut self, steps: Range<u64>) -> Result<Vec<Record>> {
        self.restart_at(steps.start)?;
        let mut all = Vec::new();
        let mut pace = Pace::default();
        let mut at = steps.start;
        while at < steps.end || self.engine.in_flight() > 0 {
            while at < steps.end && self.engine.in_flight() < 2 {
                at += self.submit(at, pace.of((steps.end - at) as usize))?;
            }
            let begun = Instant::now();
            let records = self.engine.collect().await?;
            pace.measured(records.len(), begun.elapsed().as_secs_f64());
            if pace.is_slow() {
                self.engine.one_by_one();
            }
            all.extend(records);
        }
        Ok(all)
    }

    /// One pass over the data, batch by batch, that passes on the class of each pixel of each sample, in the data's
    /// order, and counts them.
    ///
    /// # Errors
    /// [`Error::Input`] for a model that tells no classes of pixels.
    pub async fn run_masks(&mut self, each: impl FnMut(&[u32]) -> Result<()>) -> Result<Totals> {
        let (records, confusion) = self.masks(0..self.step.steps_per_epoch() as u64, each).await?;
        self.confusion = Some(confusion);
        Ok(self.total(&records))
    }

    /// `run_masks` for some steps of the pass.
    pub(in crate::train) async fn masks(
        &mut self,
        steps: Range<u64>,
        mut each: impl FnMut(&[u32]) -> Result<()>,
    ) -> Result<(Vec<Record>, Confusion)> {
        self.restart_at(steps.start)?;
        let Evaluator { step, engine, feed, .. } = self;
        let (Some(mask), Some((classes, labels))) = (step.mask, &self.truth) else {
            return Err(Error::input("the model does not predict classes of pixels"));
        };
        let mut confusion = Confusion::new(*classes)?;
        let mut all = Vec::new();
        let first = steps.start as usize * step.batch;
        let mut truth = (first..labels.count()).map(|sample| labels.words(sample..sample + 1));
        let last = step.steps_per_epoch() as u64;
        for at in steps {
            feed::submit(feed, engine, step, at, 1, last)?;
            let records = engine.collect().await?;
            let valid = records.iter().map(|record| record.samples as usize).sum();
            all.extend(records);
            let Values::Word(found) = engine.read(mask).await? else {
                return Err(Error::failed("classes of pixels are not words"));
            };
            for (found, truth) in found.chunks(step.positions).take(valid).zip(&mut truth) {
                for (found, truth) in found.iter().zip(truth).filter(|(_, truth)| *truth != IGNORED) {
                    confusion.add(truth as usize, *found as usize)?;
                }
                each(found)?;
            }
        }
        Ok((all, confusion))
    }

    pub(in crate::train) fn total(&self, records: &[Record]) -> Totals {
        let mut totals = self.none;
        records.iter().for_each(|record| totals.add(record));
        totals
    }

    /// One pass over the data that gives each sample's numbers beside its targets, and scores them.
    ///
    /// # Errors
    /// [`Error::Input`] for data whose targets are no numbers.
    pub async fn run_numbers(&mut self) -> Result<(Totals, Numbers)> {
        let mut outputs = Vec::with_capacity(self.step.samples);
        let totals = self.run_each(|row| {
            outputs.extend_from_slice(row);
            Ok(())
        });
        let totals = totals.await?;
        Ok((totals, self.score(&outputs)?))
    }

    /// Scores each sample's numbers.
    pub(in crate::train) fn score(&mut self, outputs: &[f32]) -> Result<Numbers> {
        let Some((scales, column)) = &self.targets else {
            return Err(Error::input("the targets are no numbers"));
        };
        let numbers = Numbers::new(scales, column, outputs)?;
        self.scores = Some(numbers.scores(scales));
        Ok(numbers)
    }

    /// How near the last pass came to targets that are numbers.
    pub fn scores(&self) -> Option<&[NumberScore]> {
        self.scores.as_deref()
    }

    /// One pass over the data, batch by batch, that passes on the logits of each sample, `[classes]`, in the data's
    /// order.
    pub async fn run_each(&mut self, each: impl FnMut(&[f32]) -> Result<()>) -> Result<Totals> {
        let records = self.rows(0..self.step.steps_per_epoch() as u64, each).await?;
        Ok(self.total(&records))
    }

    /// `run_each` for some steps of the pass.
    pub(in crate::train) async fn rows(
        &mut self,
        steps: Range<u64>,
        mut each: impl FnMut(&[f32]) -> Result<()>,
    ) -> Result<Vec<Record>> {
        self.restart_at(steps.start)?;
        let classes = self.step.graph.shape(self.step.logits)[1];
        let mut all = Vec::new();
        for at in steps {
            self.submit(at, 1)?;
            let records = self.engine.collect().await?;
            let valid = records.iter().map(|record| record.samples as usize).sum();
            all.extend(records);
            let Values::Float(logits) = self.engine.read(self.step.logits).await? else {
                return Err(Error::failed("logits are not floats"));
            };
            logits.chunks(classes).take(valid).try_for_each(&mut each)?;
        }
        Ok(all)
    }

    /// Goes to the first sample of a step.
    fn restart_at(&mut self, step: u64) -> Result<()> {
        for (_, state) in &self.step.graph.carried {
            let zeros = vec![0.0; self.step.graph.info(*state).elements()];
            self.engine.write(*state, Values::Float(zeros))?;
        }
        let control = self.start.at(step, self.step.batch);
        self.engine.write(self.step.control, Values::Word(control.words()))?;
        self.engine.restart_at(step);
        self.feed.iter_mut().for_each(|feed| feed.restart_at(step));
        Ok(())
    }

    /// Submits at most `steps` steps of a pass after the first `at`, as far as the data for them is on the device;
    /// returns how many were submitted.
    fn submit(&mut self, at: u64, steps: usize) -> Result<u64> {
        let last = self.step.steps_per_epoch() as u64;
        feed::submit(&mut self.feed, &mut self.engine, &self.step, at, steps, last)
    }

    /// The logits of every sample in the data's order, [samples, classes].
    pub async fn logits(&mut self) -> Result<Vec<f32>> {
        let mut logits = Vec::with_capacity(self.step.samples * self.step.graph.shape(self.step.logits)[1]);
        let each = |row: &[f32]| {
            logits.extend_from_slice(row);
            Ok(())
        };
        self.run_each(each).await?;
        Ok(logits)
    }
}
