//! What a training run can be told, checked before anything is built.

use super::progress::Goal;
use crate::augment::Augment;
use crate::error::{Error, Result};
use crate::schedule::{Rates, Schedule};
use serde::{Deserialize, Serialize};

/// The optimizer and its constants.
#[derive(Clone, Debug, PartialEq)]
pub enum Optimizer {
    /// Adam with decay added to the gradient (`l2`), or AdamW with decay of its own (`decay`).
    Adam {
        /// β₁ and β₂.
        betas: [f64; 2],
        /// ε, added to √v̂.
        epsilon: f64,
        /// Decay added to the gradient.
        l2: f64,
        /// Decay apart from the gradient.
        decay: f64,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// How much of the last velocity stays.
        momentum: f64,
        /// Decay added to the gradient.
        l2: f64,
    },
}

impl Optimizer {
    /// β₁ and β₂, for the bias corrections; 0 where there are none.
    pub fn betas(&self) -> [f64; 2] {
        match self {
            Optimizer::Adam { betas, .. } => *betas,
            Optimizer::Sgd { .. } => [0.0; 2],
        }
    }
}

/// The optimizers by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum OptimizerName {
    /// Adam; weight decay is added to the gradient.
    #[default]
    Adam,
    /// AdamW; weight decay apart from the gradient, 0.01 where not given.
    Adamw,
    /// Stochastic gradient descent; lr 0.01 where not given.
    Sgd,
}

/// The schedules by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum ScheduleName {
    /// The same rate throughout.
    #[default]
    Constant,
    /// Multiplied by gamma every so many epochs.
    Step,
    /// Half a cosine wave down to 0 at the end of the run.
    Cosine,
    /// Up to lr within the first 30 % of the run, then down to nearly nothing.
    OneCycle,
}

/// Everything that decides the numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainOptions {
    /// Passes over the training data.
    pub epochs: usize,
    /// Samples of a step.
    pub batch_size: usize,
    /// The optimizer.
    pub optimizer: OptimizerName,
    /// The learning rate; where not given 1e-3, for SGD 1e-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// How the learning rate moves over the run.
    #[serde(skip_serializing_if = "is_default")]
    pub schedule: ScheduleName,
    /// Steps in which the rate first rises evenly to `lr`.
    #[serde(skip_serializing_if = "is_default")]
    pub warmup_steps: u32,
    /// Epochs between two changes of the schedule `step`; where not given 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_every: Option<u32>,
    /// What the schedule `step` multiplies the rate by; where not given 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// SGD's momentum.
    pub momentum: f64,
    /// Weight decay; where not given 0, for AdamW 0.01.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// The seed of the first weights and of every epoch's order.
    pub seed: u64,
    /// Keeps an average of the weights, of whose last value so much stays with each update; it is what is validated and
    /// stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Whether every epoch has an order of its own; otherwise batches are taken in file order.
    pub shuffle: bool,
    /// Ends the run after so many steps, as if its last epoch did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Ends the run after so many epochs in a row without a smaller validation loss than the best before them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Layers that stay as they are, by their names in the weight file, such as `0`, or single weights, such as
    /// `0.bias`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// The most bytes of a split's images that the device holds: larger ones come through a window of two chunks, which
    /// decides the order of an epoch's samples. Where not given, the device's limits decide, and the run notes it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_data_limit: Option<u64>,
    /// How training images are changed at random.
    #[serde(skip_serializing_if = "Augment::is_off")]
    pub augment: Augment,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions {
            epochs: 10,
            batch_size: 128,
            optimizer: OptimizerName::Adam,
            lr: None,
            schedule: ScheduleName::Constant,
            warmup_steps: 0,
            step_every: None,
            gamma: None,
            momentum: 0.0,
            weight_decay: None,
            seed: 0,
            ema: None,
            shuffle: true,
            max_steps: None,
            patience: None,
            freeze: Vec::new(),
            device_data_limit: None,
            augment: Augment::default(),
        }
    }
}

impl TrainOptions {
    /// The learning rate in force.
    pub fn rate(&self) -> f64 {
        self.lr.unwrap_or(if self.optimizer == OptimizerName::Sgd { 1e-2 } else { 1e-3 })
    }

    /// The rates of a run over so many training samples.
    pub fn rates(&self, samples: usize) -> Rates {
        let Goal { per_epoch, last, .. } = Goal::new(samples, self);
        let narrow = |steps: u64| u32::try_from(steps).unwrap_or(u32::MAX);
        let every = narrow(per_epoch.saturating_mul(self.step_every.unwrap_or(1).into()));
        let schedule = match self.schedule {
            ScheduleName::Constant => Schedule::Constant,
            ScheduleName::Step => Schedule::Step { every, gamma: self.gamma.unwrap_or(0.1) },
            ScheduleName::Cosine => Schedule::Cosine,
            ScheduleName::OneCycle => Schedule::OneCycle,
        };
        Rates { base: self.rate(), schedule, warmup: self.warmup_steps, total: narrow(last) }
    }

    /// The weight decay in force.
    pub fn decay(&self) -> f64 {
        self.weight_decay.unwrap_or(if self.optimizer == OptimizerName::Adamw { 0.01 } else { 0.0 })
    }

    /// Fills in what was left to the optimizer.
    pub fn resolved(self) -> Self {
        TrainOptions { lr: Some(self.rate()), weight_decay: Some(self.decay()), ..self }
    }

    /// The optimizer with its constants.
    pub fn optimizer(&self) -> Optimizer {
        let (betas, epsilon, decay) = ([0.9, 0.999], 1e-7, self.decay());
        match self.optimizer {
            OptimizerName::Adam => Optimizer::Adam { betas, epsilon, l2: decay, decay: 0.0 },
            OptimizerName::Adamw => Optimizer::Adam { betas, epsilon, l2: 0.0, decay },
            OptimizerName::Sgd => Optimizer::Sgd { momentum: self.momentum, l2: decay },
        }
    }

    /// Refuses what cannot be meant; the batch is held to the data when the step is built.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str, found: &dyn std::fmt::Display, expected: &str| {
            Err(Error::input(format!("{what} {found}: {expected} is expected")))
        };
        let rate = self.rate();
        if !(rate.is_finite() && rate > 0.0 && rate as f32 > 0.0 && (rate as f32).is_finite()) {
            return wrong("learning rate", &rate, "a finite number above 0");
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return wrong("momentum", &self.momentum, "a number from 0 up to, but not including, 1");
        }
        if self.momentum != 0.0 && self.optimizer != OptimizerName::Sgd {
            return wrong("momentum", &self.momentum, "no momentum but with --optimizer sgd");
        }
        if !(self.decay().is_finite() && self.decay() >= 0.0) {
            return wrong("weight decay", &self.decay(), "a finite number, 0 or above");
        }
        if let Some(ema) = self.ema.filter(|ema| !(0.0..1.0).contains(ema)) {
            return wrong("ema", &ema, "a number from 0 up to, but not including, 1");
        }
        let is_step = self.schedule == ScheduleName::Step;
        if let Some(gamma) = self.gamma.filter(|gamma| !(is_step && *gamma > 0.0 && *gamma <= 1.0)) {
            return wrong("gamma", &gamma, "a number above 0, up to 1, with --schedule step");
        }
        if let Some(every) = self.step_every.filter(|every| !(is_step && *every > 0)) {
            return wrong("step every", &every, "at least 1 epoch, with --schedule step");
        }
        if self.warmup_steps > 0 && self.schedule == ScheduleName::OneCycle {
            return wrong(
                "warm-up steps",
                &self.warmup_steps,
                "none with --schedule one-cycle, which warms up by itself",
            );
        }
        if self.epochs == 0 {
            return wrong("epochs", &0, "at least 1");
        }
        if self.batch_size == 0 {
            return wrong("batch size", &0, "at least 1");
        }
        if self.max_steps == Some(0) {
            return wrong("max steps", &0, "at least 1");
        }
        if self.patience == Some(0) {
            return wrong("patience", &0, "at least 1");
        }
        if self.device_data_limit == Some(0) {
            return wrong("device data limit", &0, "at least 1 byte");
        }
        self.augment.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_depend_on_the_optimizer() {
        for (optimizer, rate, decay) in
            [(OptimizerName::Adam, 1e-3, 0.0), (OptimizerName::Adamw, 1e-3, 0.01), (OptimizerName::Sgd, 1e-2, 0.0)]
        {
            let options = TrainOptions { optimizer, ..TrainOptions::default() };
            assert_eq!((options.rate(), options.decay()), (rate, decay), "{optimizer:?}");
            assert_eq!(options.check(), Ok(()));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let base = TrainOptions::default;
        let sgd = || TrainOptions { optimizer: OptimizerName::Sgd, ..base() };
        let cases = [
            (TrainOptions { lr: Some(0.0), ..base() }, "learning rate 0"),
            (TrainOptions { lr: Some(-1e-3), ..base() }, "learning rate -0.001"),
            (TrainOptions { lr: Some(f64::NAN), ..base() }, "learning rate NaN"),
            (TrainOptions { lr: Some(f64::INFINITY), ..base() }, "learning rate inf"),
            (TrainOptions { lr: Some(1e-60), ..base() }, "learning rate"),
            (TrainOptions { lr: Some(1e60), ..base() }, "learning rate"),
            (TrainOptions { momentum: 1.0, ..sgd() }, "momentum 1"),
            (TrainOptions { momentum: f64::NAN, ..sgd() }, "momentum NaN"),
            (TrainOptions { momentum: 0.9, ..base() }, "momentum 0.9"),
            (TrainOptions { weight_decay: Some(-1.0), ..base() }, "weight decay -1"),
            (TrainOptions { weight_decay: Some(f64::NAN), ..base() }, "weight decay NaN"),
            (TrainOptions { ema: Some(1.0), ..base() }, "ema 1"),
            (TrainOptions { ema: Some(f64::NAN), ..base() }, "ema NaN"),
            (TrainOptions { gamma: Some(0.5), ..base() }, "gamma 0.5"),
            (TrainOptions { schedule: ScheduleName::Step, gamma: Some(f64::NAN), ..base() }, "gamma NaN"),
            (TrainOptions { schedule: ScheduleName::Step, gamma: Some(1.5), ..base() }, "gamma 1.5"),
            (TrainOptions { schedule: ScheduleName::Step, step_every: Some(0), ..base() }, "step every 0"),
            (TrainOptions { step_every: Some(2), ..base() }, "step every 2"),
            (TrainOptions { schedule: ScheduleName::OneCycle, warmup_steps: 5, ..base() }, "warm-up steps 5"),
            (TrainOptions { epochs: 0, ..base() }, "epochs 0"),
            (TrainOptions { batch_size: 0, ..base() }, "batch size 0"),
            (TrainOptions { max_steps: Some(0), ..base() }, "max steps 0"),
            (TrainOptions { patience: Some(0), ..base() }, "patience 0"),
            (TrainOptions { device_data_limit: Some(0), ..base() }, "device data limit 0"),
            (TrainOptions { augment: Augment { rotate: 181.0, ..Augment::default() }, ..base() }, "augment rotate 181"),
        ];
        for (options, start) in cases {
            let error = options.check().expect_err(start).to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }
}
