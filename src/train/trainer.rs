//! The training loop: submits of many steps, records as they come back, validation after every epoch.

use super::engine::{Engine, Pace, Record};
use super::evaluator::{Evaluator, Totals};
use super::options::TrainOptions;
use super::step::Step;
use crate::data::Dataset;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::init::glorot_uniform;
use crate::model::weights::Weights;
use crate::values::Values;
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::Instant;

/// One line of `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps since the start of the run.
    pub step: u64,
    /// Mean loss over the epoch's samples, each batch's before its update.
    pub loss: f64,
    /// Share of the epoch's samples that were right, likewise.
    pub accuracy: f64,
    /// Mean loss over the test set.
    pub val_loss: f64,
    /// Share of the test set that was right.
    pub val_accuracy: f64,
    /// Seconds of training, validation apart.
    pub seconds: f64,
    /// Training samples by those seconds.
    pub images_per_second: f64,
}

/// What the loop tells its observer.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Steps came back: the number of the first, from 1, their records, and how far the epoch is.
    Steps {
        /// The epoch, from 1.
        epoch: usize,
        /// The number of the first of these steps, from 1 at the start of the run.
        first: u64,
        /// What they left in the log.
        records: &'a [Record],
        /// Steps of this epoch that are done.
        done: usize,
        /// Steps that this epoch has.
        of: usize,
        /// The epoch's sums so far.
        totals: &'a Totals,
    },
    /// An epoch has ended.
    Epoch(&'a Metrics),
}

/// A model in training on a device.
#[derive(Debug)]
pub struct Trainer {
    options: TrainOptions,
    step: Step,
    engine: Engine,
    evaluator: Evaluator,
}

impl Trainer {
    /// Builds the steps on the device and uploads data and first weights: `init`, or a Glorot-uniform start from the
    /// options' seed.
    pub fn new(
        device: &Device,
        model: &Model,
        data: &Dataset,
        options: &TrainOptions,
        init: Option<&Weights>,
    ) -> Result<Self> {
        options.check()?;
        check_data(model, data)?;
        let optimizer = options.optimizer();
        let (samples, frozen) = (data.train.count, &options.freeze);
        let step = Step::training_frozen(model, samples, options.batch_size, options.shuffle, &optimizer, frozen)?;
        let mut engine = Engine::new(device, step.graph.clone(), step.log)?;
        engine.write_all(step.data(&data.train))?;
        let control = step.start(options.seed, options.rate(), optimizer.betas());
        engine.write(step.control, Values::Word(control.words()))?;
        let first = match init {
            Some(weights) => weights.to_graph(&step.graph)?,
            // Drawn only now: that the device can hold a model of this size has been checked.
            None => glorot_uniform(model, options.seed)?.to_graph(&step.graph)?,
        };
        engine.write_all(first.into_iter().map(|(tensor, values)| (tensor, Values::Float(values))))?;
        let evaluator = Evaluator::new(device, model, &data.test, options.batch_size)?;
        Ok(Trainer { options: options.clone(), step, engine, evaluator })
    }

    /// The memory of all buffers, in bytes.
    pub fn bytes(&self) -> u64 {
        self.engine.bytes()
    }

    /// Objects created on the device since the start.
    pub fn created(&self) -> usize {
        self.engine.created()
    }

    /// Trains to the end, or until the observer breaks; returns the metrics of every epoch.
    ///
    /// A break between steps ends the run as its last epoch would have: it is validated and counted.
    ///
    /// # Errors
    /// [`Error::Failed`] where the device fails, or at the first step whose loss is no finite number.
    pub async fn fit(&mut self, mut observe: impl FnMut(Event) -> ControlFlow<()>) -> Result<Vec<Metrics>> {
        let per_epoch = self.step.steps_per_epoch();
        let budget = (per_epoch as u64).saturating_mul(self.options.epochs as u64);
        let last = self.options.max_steps.map_or(budget, |most| most.min(budget));
        let mut all: Vec<Metrics> = Vec::new();
        let (mut step, mut pace) = (0u64, Pace::default());
        let mut flow = ControlFlow::Continue(());
        while step < last && flow.is_continue() {
            let epoch = all.len() + 1;
            let of = per_epoch.min((last - step) as usize);
            let (mut submitted, mut done) = (0, 0);
            let mut totals = Totals::default();
            let start = Instant::now();
            let mut collected = start;
            while done < submitted || (submitted < of && flow.is_continue()) {
                // The very first step goes alone: it compiles the shaders.
                let most = if step == 0 { 1 } else { 2 };
                while submitted < of && self.engine.in_flight() < most && flow.is_continue() {
                    let steps = pace.of(of - submitted);
                    self.engine.submit(steps as u32)?;
                    submitted += steps;
                }
                let records = self.engine.collect().await?;
                let took = collected.elapsed().as_secs_f64();
                collected = Instant::now();
                records.iter().for_each(|record| totals.add(record));
                done += records.len();
                let first = step + 1;
                if let Some(at) = records.iter().position(|record| !record.loss.is_finite()) {
                    return Err(Error::failed(format!(
                        "step {}: the loss is {}; a smaller learning rate may help",
                        first + at as u64,
                        records[at].loss
                    )));
                }
                step += records.len() as u64;
                if step > 1 {
                    pace.measured(records.len(), took);
                }
                let event = Event::Steps { epoch, first, records: &records, done, of, totals: &totals };
                if observe(event).is_break() {
                    flow = ControlFlow::Break(());
                }
            }
            let seconds = start.elapsed().as_secs_f64();
            self.evaluator.copy_weights(&self.step, &self.engine)?;
            let validation = self.evaluator.run().await?;
            let metrics = Metrics {
                epoch,
                step,
                loss: totals.loss(),
                accuracy: totals.accuracy(),
                val_loss: validation.loss(),
                val_accuracy: validation.accuracy(),
                seconds,
                images_per_second: totals.samples() as f64 / seconds,
            };
            all.push(metrics);
            if observe(Event::Epoch(&metrics)).is_break() {
                flow = ControlFlow::Break(());
            }
        }
        Ok(all)
    }

    /// The weights as they are now, in the weight file's order.
    pub async fn weights(&self) -> Result<Weights> {
        let Values::Float(arena) = self.engine.read(self.step.params).await? else {
            return Err(Error::failed("parameters are not floats"));
        };
        let graph = &self.step.graph;
        Weights::from_graph(graph, |t| {
            let (_, offset) = graph.root(t);
            Ok(arena[offset..][..graph.info(t).elements()].to_vec())
        })
    }
}

/// Holds a model's input and number of classes to the data's.
pub fn check_data(model: &Model, data: &Dataset) -> Result<()> {
    let split = &data.train;
    let found = [split.height, split.width, split.channels];
    if found != model.input {
        return Err(Error::input(format!(
            "data set {}: images of {found:?}, the model {} expects {:?} (height, width, channels)",
            data.name, model.name, model.input
        )));
    }
    let classes = model.classes()?;
    if data.classes > classes {
        return Err(Error::input(format!(
            "data set {}: labels up to {}, the model {} has {classes} classes",
            data.name,
            data.classes - 1,
            model.name
        )));
    }
    Ok(())
}
