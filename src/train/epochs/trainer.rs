//! The training loop: submits of many steps, records as they come back, validation after every epoch.

use crate::data::{Dataset, Split};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ir::values::Values;
use crate::model::formats::weights::Weights;
use crate::model::init;
use crate::model::{Model, Task};
use crate::train::epochs::engine::{Engine, Record};
use crate::train::epochs::evaluator::{Evaluator, Totals};
use crate::train::epochs::feed;
use crate::train::epochs::feed::Feed;
pub use crate::train::epochs::progress::Metrics;
use crate::train::epochs::progress::{Goal, Progress};
pub use crate::train::epochs::sampler::Sample;
use crate::train::epochs::sampler::Sampler;
use crate::train::epochs::timing::{KernelTime, kernel_times};
use crate::train::epochs::watchdog::Watchdog;
use crate::train::pairing::check_data;
use crate::train::processes::Together;
use crate::train::settings::class_weights::Balance;
use crate::train::settings::interval::Interval;
use crate::train::settings::loss::Criterion;
use crate::train::settings::options::TrainOptions;
use crate::train::state::checkpoint::{Checkpoint, DataMark};
use crate::train::state::digest::Digest;
use crate::train::state::restore::arena;
use crate::train::state::snapshot::Snapshot;
use crate::train::step::Step;
use crate::train::step::window::limit_on;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The events of the loop for its observer.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Steps came back: the number of the first, from 1, their records, and how far the epoch is.
    Steps {
        /// The epoch, from 1.
        epoch: usize,
        /// The number of the first of these steps, from 1 at the start of the run.
        first: u64,
        /// Their records in the log.
        records: &'a [Record],
        /// Steps of this epoch that are done.
        done: usize,
        /// Steps that this epoch has.
        of: usize,
        /// The epoch's sums so far.
        totals: &'a Totals,
        /// Seconds of training in this epoch so far.
        seconds: f64,
    },
    /// A text generated after an epoch, for a model that continues texts or translates.
    Sample {
        /// The epoch, from 1.
        epoch: usize,
        /// Steps since the start of the run.
        step: u64,
        /// The text.
        sample: &'a Sample,
    },
    /// An epoch has ended.
    Epoch(&'a Metrics),
    /// A checkpoint from which the run can be resumed; only if checkpoints are requested.
    Checkpoint(&'a Checkpoint),
}

/// A model in training on a device.
#[derive(Debug)]
pub struct Trainer {
    pub(in crate::train) model: Model,
    pub(in crate::train) options: TrainOptions,
    pub(in crate::train) criterion: Criterion,
    balance: Option<Balance>,
    pub(in crate::train) data: DataMark,
    pub(in crate::train) device: String,
    pub(in crate::train) step: Step,
    pub(in crate::train) engine: Engine,
    pub(in crate::train) feed: Option<Feed>,
    pub(in crate::train) progress: Progress,
    pub(in crate::train) evaluator: Evaluator,
    // The test set and the device, where validation is of something else.
    pub(in crate::train) test: Option<(Device, Split)>,
    pub(super) goal: Goal,
    pub(super) checkpoints: Option<Checkpoints>,
    snapshot: Option<Arc<Snapshot>>,
    pub(super) sampler: Option<Sampler>,
    pub(in crate::train) watchdog: Watchdog,
    // The other processes, where there are some.
    pub(in crate::train) together: Option<Together>,
    // The time in which this process computed nothing while it had others.
    pub(in crate::train) exchange: Duration,
}

/// When checkpoints are made, besides at the end of every epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkpoints {
    pub(super) every: Option<Interval>,
    pub(super) last: Instant,
}

impl Trainer {
    /// Builds the steps on the device and uploads data and initial weights: `given`, or those that the options' method
    /// draws from their seed.
    pub fn new(
        device: &Device,
        model: &Model,
        data: &Dataset,
        options: &TrainOptions,
        given: Option<&Weights>,
    ) -> Result<Self> {
        options.check()?;
        check_data(model, data)?;
        let (split, test) = match options.validation_split {
            None => match data.with_own_validation() {
                None => (None, None),
                Some((split, test)) => (Some(split), Some((device.clone(), test))),
            },
            Some(share) if data.validation.is_some() => {
                return Err(Error::input(format!(
                    "validation split {share}: data set {} has a part to validate on, expected no --validation-split",
                    data.name
                )));
            }
            Some(share) => {
                let (split, test) = data.with_validation(share, options.seed)?;
                (Some(split), Some((device.clone(), test)))
            }
        };
        // What is trained and validated on.
        let data = split.as_ref().unwrap_or(data);
        let limit = limit_on(device, &data.train, options.device_data_limit);
        let options = &TrainOptions { device_data_limit: limit, ..options.clone() };
        // What is stored says how the weights of classes come about; what is built has them.
        let (built, balance) = options.balanced(&data.train, model.classes()?)?;
        let optimizer = options.optimizer();
        let rates = options.rates(data.train.count);
        let step = Step::training_on(model, &data.train.schema(), data.train.count, &built)?;
        let mut engine = Engine::new(device, step.graph.clone(), step.log)?;
        let control = step.start(options.seed, rates.at(0), optimizer.betas());
        let feed = Feed::begin(&mut engine, &step, &data.train, options.shuffle.then_some(control.key))?;
        engine.write(step.control, Values::Word(control.words()))?;
        let first = match given {
            Some(weights) => weights.to_graph(&step.graph)?,
            // Drawn only now: that the device can hold a model of this size has been checked.
            None => init::first(model, options.init_method, options.seed)?.to_graph(&step.graph)?,
        };
        if let Some(ema) = step.ema {
            engine.write(ema, arena(&step.graph, step.params, &first))?;
        }
        engine.write_all(first.into_iter().map(|(tensor, values)| (tensor, Values::Float(values))))?;
        let criterion = built.criterion();
        let evaluator = Evaluator::by(&criterion, device, model, &data.test, options.batch_size, limit)?;
        let sampler = Sampler::new(device, model, &data.test, options)?;
        let progress = Progress { totals: Totals::of(&step, &data.train), ..Progress::default() };
        Ok(Trainer {
            model: model.clone(),
            options: options.clone(),
            criterion,
            balance,
            data: DataMark::new(data)?,
            device: device.identity(),
            step,
            engine,
            feed,
            progress,
            evaluator,
            test,
            goal: Goal::new(data.train.count, options),
            checkpoints: None,
            snapshot: None,
            sampler,
            watchdog: Watchdog::default(),
            together: None,
            exchange: Duration::ZERO,
        })
    }

    /// Asks for checkpoints: before the first step, at the end of every epoch, where a run is stopped, and `every` so
    /// often.
    pub fn checkpoints(&mut self, every: Option<Interval>) {
        self.checkpoints = Some(Checkpoints { every, last: Instant::now() });
    }

    /// The seconds that reading and decoding the training data took, where it passes through a window; on an adapter most of it is
    /// done while the device computes.
    pub fn reading_seconds(&self) -> Option<f64> {
        self.feed.as_ref().map(Feed::reading_seconds)
    }

    /// How far the run has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The options of the run, with device-dependent defaults filled in.
    pub fn options(&self) -> &TrainOptions {
        &self.options
    }

    /// The weights of classes, where they were balanced by the labels of the training samples.
    pub fn balance(&self) -> Option<&Balance> {
        self.balance.as_ref()
    }

    /// Where the run is to end.
    pub fn goal(&self) -> Goal {
        self.goal
    }

    /// Lays out the weights in `snapshot` from now on, whenever it asks for them; the numbers of the run stay the same.
    pub async fn share(&mut self, snapshot: Arc<Snapshot>) -> Result<()> {
        snapshot.put(0, self.weights().await?);
        self.snapshot = Some(snapshot);
        Ok(())
    }

    /// The memory of all buffers, in bytes.
    pub fn bytes(&self) -> u64 {
        self.engine.bytes()
    }

    /// Objects created on the device since the start.
    pub fn created(&self) -> usize {
        self.engine.created()
    }

    /// Trains to the end, or until the observer breaks; returns the metrics of every epoch since the run began.
    ///
    /// A break between steps stops the run where it is, once the steps in flight are done: the epoch is neither
    /// validated nor counted, and a later call continues it.
    ///
    /// # Errors
    /// [`Error::Failed`] if the device fails, or at the first step that leaves a NaN or an infinity in its loss, its
    /// gradients, the parameters or the optimizer's state: the error names the tensor and the op where it began, and the
    /// trainer is brought back to the last checkpoint, or to the start of the epoch.
    pub async fn fit(&mut self, mut observe: impl FnMut(Event) -> ControlFlow<()>) -> Result<Vec<Metrics>> {
        self.progress.reopen(self.goal);
        self.settle_rate().await?;
        let mut flow = match self.progress.step {
            0 => self.save(None, &mut observe).await?,
            _ => ControlFlow::Continue(()),
        };
        flow = self.agree(flow)?;
        let mut pace = None;
        while flow.is_continue() && !self.progress.finished(self.goal) {
            if self.watchdog.step() != Some(self.progress.step) {
                self.watchdog.keep(self.checkpoint().await?);
            }
            flow = match self.together {
                None => self.stretch(&mut pace, &mut observe).await?,
                Some(_) => self.stretch_together(&mut observe).await?,
            };
            let mut weights = None;
            if flow.is_continue() && self.progress.step == self.progress.epoch_end(self.goal) {
                self.evaluator.copy_weights(&self.step, &self.engine)?;
                let validation = match &self.together {
                    None => self.evaluator.run().await?,
                    Some(together) => self.evaluator.run_with(together.others()).await?,
                };
                // A checkpoint follows, which needs them anyway; without one they are not worth reading.
                let mut digest = None;
                if self.checkpoints.is_some() {
                    let trained = self.raw_weights().await?;
                    digest = Some(match self.step.ema {
                        None => Digest::of(&trained),
                        Some(_) => Digest::of(&self.weights().await?),
                    });
                    weights = Some(trained);
                }
                let (samples, last) = (self.data.samples[0], self.progress.step.saturating_sub(1));
                let lr = self.options.rate_at(samples, last, self.progress.val_losses());
                let mut metrics = self.progress.close(&validation, lr, digest, self.goal);
                if let Some(last) = self.progress.metrics.last_mut() {
                    last.score(self.evaluator.confusion(), self.evaluator.scores());
                    last.val_perplexity = (self.model.task == Task::Next).then(|| last.val_loss.exp());
                    metrics = *last;
                }
                if self.is_first() {
                    flow = self.sample(metrics, &mut observe).await?;
                }
                self.settle_rate().await?;
                self.lay_out(true).await?;
                if observe(Event::Epoch(&metrics)).is_break() {
                    flow = ControlFlow::Break(());
                }
            }
            if self.save(weights, &mut observe).await?.is_break() {
                flow = ControlFlow::Break(());
            }
            flow = self.agree(flow)?;
        }
        Ok(self.progress.metrics.clone())
    }

    /// Submits at most `steps` steps of the run after the first `at`, as far as the data for them is on the device;
    /// returns how many were submitted.
    pub(in crate::train) fn submit(&mut self, at: u64, steps: usize) -> Result<u64> {
        feed::submit(&mut self.feed, &mut self.engine, &self.step, at, steps, self.goal.last)
    }

    /// Makes sure that the data for step `at` (from 0) is on the device.
    pub(in crate::train) fn ready(&mut self, at: u64) -> Result<()> {
        let Trainer { feed, engine, step, .. } = self;
        feed.as_mut().map_or(Ok(()), |feed| feed.ready(engine, step, at).map(drop))
    }

    /// Passes a checkpoint to the observer, if requested; `weights` are the current trained ones, if they were read.
    async fn save(
        &mut self,
        weights: Option<Weights>,
        observe: &mut impl FnMut(Event) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        if self.checkpoints.is_none() {
            return Ok(ControlFlow::Continue(()));
        }
        let weights = match weights {
            Some(weights) => weights,
            None => self.raw_weights().await?,
        };
        // Running statistics of a batch norm pass by the optimizer, which looks at gradients, parameters and its own state.
        if let Some(wild) = weights.wild() {
            return Err(self.wild(&wild));
        }
        if self.together.is_some() {
            self.compare(Digest::of(&weights))?;
        }
        let checkpoint = self.checkpoint_with(weights).await?;
        let flow = observe(Event::Checkpoint(&checkpoint));
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.last = Instant::now();
        }
        self.watchdog.keep(checkpoint);
        Ok(flow)
    }

    /// Publishes newer weights if they were requested, or `always` if they are shared at all.
    pub(super) async fn lay_out(&self, always: bool) -> Result<()> {
        if let Some(snapshot) = self.snapshot.as_ref().filter(|snapshot| always || snapshot.is_due()) {
            snapshot.put(self.progress.step, self.weights().await?);
        }
        Ok(())
    }

    /// The time of a step per kernel; `None` if the device has no timestamps. These are real steps, which change
    /// the weights: for when the run is over.
    pub async fn kernel_times(&mut self) -> Result<Option<Vec<KernelTime>>> {
        kernel_times(&mut self.engine, &self.step.graph).await
    }
}
