//! What a training run can be told, checked before anything is built.

use crate::error::{Error, Result};
use crate::model::init::InitMethod;
use crate::step::augment::Augment;
use crate::step::schedule::{Rates, Schedule};
#[cfg(feature = "cli")]
use crate::train::settings::flags::{self, DATA, LOSS, MODEL, OPTIMIZER, RATE, TRAINING};
use crate::train::settings::goal::Goal;
use crate::train::settings::loss::{Criterion, LossName};
#[cfg(feature = "cli")]
use crate::train::settings::optimizers::help::{self, number};
pub use crate::train::settings::optimizers::{Optimizer, OptimizerName};
use serde::{Deserialize, Serialize};

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
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct TrainOptions {
    /// Passes over the training data
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = flags::whole::<usize>, default_value_t = TrainOptions::default().epochs, help_heading = TRAINING))]
    pub epochs: usize,
    /// Samples of a step
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = flags::whole::<usize>, default_value_t = TrainOptions::default().batch_size, help_heading = TRAINING))]
    pub batch_size: usize,
    /// Optimizer
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t = TrainOptions::default().optimizer, help_heading = OPTIMIZER))]
    pub optimizer: OptimizerName,
    /// Learning rate; where not given, the optimizer's.
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", help = help::every("Learning rate", |has| has.lr), allow_negative_numbers = true, help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// How the learning rate moves over the run
    #[cfg_attr(feature = "cli", arg(long, value_enum, value_name = "S", default_value_t = TrainOptions::default().schedule, help_heading = RATE))]
    #[serde(skip_serializing_if = "is_default")]
    pub schedule: ScheduleName,
    /// Steps in which the rate first rises evenly to its value
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = TrainOptions::default().warmup_steps, help_heading = RATE))]
    #[serde(skip_serializing_if = "is_default")]
    pub warmup_steps: u32,
    /// With --schedule step: epochs between two changes [default: 1]
    #[cfg_attr(feature = "cli", arg(long, value_name = "EPOCHS", help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_every: Option<u32>,
    /// With --schedule step: what the rate is multiplied by [default: 0.1]
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// Momentum of some optimizers.
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", help = help::some("Momentum", |has| has.momentum.map(number)), default_value_t = TrainOptions::default().momentum, hide_default_value = true, allow_negative_numbers = true, help_heading = OPTIMIZER))]
    pub momentum: f64,
    /// Make sgd's momentum Nesterov's
    #[cfg_attr(feature = "cli", arg(long, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "is_default")]
    pub nesterov: bool,
    /// β₁ and β₂ of some optimizers; where not given, the optimizer's.
    #[cfg_attr(feature = "cli", arg(long, value_name = "X,Y", help = help::some("β₁ and β₂", |has| has.betas.map(|[a, b]| format!("{a},{b}"))), value_parser = flags::betas, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub betas: Option<[f64; 2]>,
    /// ε of some optimizers; where not given, the optimizer's.
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", help = help::some("ε", |has| has.epsilon.map(number)), allow_negative_numbers = true, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// ρ of some optimizers; where not given, the optimizer's.
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", help = help::some("ρ", |has| has.rho.map(number)), allow_negative_numbers = true, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rho: Option<f64>,
    /// Scale the gradients down where their norm, over all of them, is larger
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", conflicts_with = "clip_value", allow_negative_numbers = true, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Cut every gradient to X and -X
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", allow_negative_numbers = true, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_value: Option<f64>,
    /// Update the weights once every N steps, by the gradients of all their samples
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = TrainOptions::default().accumulate, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "is_one")]
    pub accumulate: u32,
    /// Weight decay; where not given, the optimizer's.
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", help = help::every("Weight decay", |has| has.weight_decay), allow_negative_numbers = true, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Seed of the first weights and of every epoch's order
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = flags::whole::<u64>, default_value_t = TrainOptions::default().seed, help_heading = TRAINING))]
    pub seed: u64,
    /// How the first weights are drawn
    #[cfg_attr(feature = "cli", arg(long, value_enum, value_name = "M", conflicts_with_all = ["init", "from"], default_value_t = TrainOptions::default().init_method, help_heading = MODEL))]
    #[serde(skip_serializing_if = "is_default")]
    pub init_method: InitMethod,
    /// Keep an exponential moving average of the weights with this decay; it is what is validated and stored
    #[cfg_attr(feature = "cli", arg(long, value_name = "DECAY", allow_negative_numbers = true, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Take batches in file order
    #[cfg_attr(feature = "cli", arg(long = "no-shuffle", action = clap::ArgAction::SetFalse, help_heading = TRAINING))]
    pub shuffle: bool,
    /// End the run after so many steps
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = flags::whole::<u64>, help_heading = TRAINING))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// End the run after N epochs in a row without a smaller validation loss
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = flags::whole::<usize>, help_heading = TRAINING))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Validate on so large a share of the training samples, such as 0.1 of every class; the test set is asked once, at
    /// the end
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE", allow_negative_numbers = true, help_heading = TRAINING))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_split: Option<f64>,
    /// Loss [default: softmax for classes, bce for yes-or-no answers, mse for numbers]
    #[cfg_attr(feature = "cli", arg(long, value_enum, value_name = "L", help_heading = LOSS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossName>,
    /// With --loss softmax: the part of a label that is spread over all classes
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", default_value_t = TrainOptions::default().label_smoothing, allow_negative_numbers = true, help_heading = LOSS))]
    #[serde(skip_serializing_if = "is_default")]
    pub label_smoothing: f64,
    /// With --loss softmax: what each class weighs, such as 0.2,1,1
    #[cfg_attr(feature = "cli", arg(long, value_name = "A,B,…", value_delimiter = ',', allow_negative_numbers = true, help_heading = LOSS))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class_weights: Vec<f64>,
    /// Layers that stay as they are, by their names in the weight file, such as 0,2
    #[cfg_attr(feature = "cli", arg(long, value_name = "LAYERS", value_delimiter = ',', help_heading = MODEL))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// The most bytes of a split's images, and of labels of pixels, on the device, such as 64MiB: more come in chunks, the
    /// images from their file where that is IDX or NumPy [default: what the device takes]
    #[cfg_attr(feature = "cli", arg(long, value_name = "BYTES", value_parser = flags::bytes, help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_data_limit: Option<u64>,
    /// Change training images at random in each step: shift=PIXELS, rotate=DEGREES, scale=SHARE, shear=DEGREES,
    /// hflip, vflip, crop=PIXELS, cutout=PIXELS, mixup=A, or off
    #[cfg_attr(feature = "cli", arg(long, value_name = "LIST", default_value_t = TrainOptions::default().augment, hide_default_value = true, help_heading = DATA))]
    #[serde(skip_serializing_if = "Augment::is_off")]
    pub augment: Augment,
}

fn is_one(value: &u32) -> bool {
    *value == 1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions {
            epochs: 10,
            batch_size: 128,
            optimizer: OptimizerName::default(),
            lr: None,
            schedule: ScheduleName::Constant,
            warmup_steps: 0,
            step_every: None,
            gamma: None,
            momentum: 0.0,
            nesterov: false,
            betas: None,
            epsilon: None,
            rho: None,
            clip_norm: None,
            clip_value: None,
            accumulate: 1,
            weight_decay: None,
            seed: 0,
            init_method: InitMethod::GlorotUniform,
            ema: None,
            shuffle: true,
            max_steps: None,
            patience: None,
            validation_split: None,
            loss: None,
            label_smoothing: 0.0,
            class_weights: Vec::new(),
            freeze: Vec::new(),
            device_data_limit: None,
            augment: Augment::default(),
        }
    }
}

impl TrainOptions {
    /// The learning rate in force.
    pub fn rate(&self) -> f64 {
        self.lr.unwrap_or(self.optimizer.defaults().lr)
    }

    /// The rates of a run over so many training samples.
    pub fn rates(&self, samples: usize) -> Rates {
        let Goal { per_epoch, last, .. } = Goal::new(samples, self);
        let narrow = |steps: u64| u32::try_from(steps).unwrap_or(u32::MAX);
        let per_epoch = per_epoch.div_ceil(self.accumulate.max(1).into());
        let every = narrow(per_epoch.saturating_mul(self.step_every.unwrap_or(1).into()));
        let schedule = match self.schedule {
            ScheduleName::Constant => Schedule::Constant,
            ScheduleName::Step => Schedule::Step { every, gamma: self.gamma.unwrap_or(0.1) },
            ScheduleName::Cosine => Schedule::Cosine,
            ScheduleName::OneCycle => Schedule::OneCycle,
        };
        Rates { base: self.rate(), schedule, warmup: self.warmup_steps, total: narrow(self.updates(samples, last)) }
    }

    /// Updates that so many steps over so many training samples make: one a step, or one for so many as are accumulated,
    /// and one at the end of every epoch.
    pub fn updates(&self, samples: usize, steps: u64) -> u64 {
        let (per_epoch, every) = (Goal::new(samples, self).per_epoch.max(1), u64::from(self.accumulate.max(1)));
        (steps / per_epoch).saturating_mul(per_epoch.div_ceil(every)) + steps % per_epoch / every
    }

    /// The rate of the update that follows so many steps, or that they are a part of.
    pub fn rate_at(&self, samples: usize, steps: u64) -> f64 {
        self.rates(samples).at(self.updates(samples, steps).try_into().unwrap_or(u32::MAX))
    }

    /// The loss with all that it is told.
    pub fn criterion(&self) -> Criterion {
        let (smoothing, weights) = (self.label_smoothing, self.class_weights.clone());
        Criterion { loss: self.loss, smoothing, weights }
    }

    /// The weight decay in force.
    pub fn decay(&self) -> f64 {
        self.weight_decay.unwrap_or(self.optimizer.defaults().weight_decay)
    }

    /// Fills in what was left to the optimizer.
    pub fn resolved(self) -> Self {
        TrainOptions { lr: Some(self.rate()), weight_decay: Some(self.decay()), ..self }
    }

    /// Refuses what cannot be meant; the batch is held to the data when the step is built.
    pub fn check(&self) -> Result<()> {
        self.criterion().check()?;
        let plain = self.criterion().is_softmax() && self.class_weights.is_empty();
        if self.augment.mixup > 0.0 && !plain {
            return wrong("mixup", &self.augment.mixup, "none but with --loss softmax and without class weights");
        }
        let rate = self.rate();
        if !(rate.is_finite() && rate > 0.0 && rate as f32 > 0.0 && (rate as f32).is_finite()) {
            return wrong("learning rate", &rate, "a finite number above 0");
        }
        self.check_update()?;
        if let Some(share) = self.validation_split.filter(|share| !(*share > 0.0 && *share < 1.0)) {
            return wrong("validation split", &share, "a number above 0 and below 1");
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

/// The error of a setting that cannot be meant.
pub(in crate::train) fn wrong(what: &str, found: &dyn std::fmt::Display, expected: &str) -> Result<()> {
    Err(Error::input(format!("{what} {found}: {expected} is expected")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIMIZERS: [(OptimizerName, f64, f64); 7] = [
        (OptimizerName::Adam, 1e-3, 0.0),
        (OptimizerName::Adamw, 1e-3, 0.01),
        (OptimizerName::Sgd, 1e-2, 0.0),
        (OptimizerName::Rmsprop, 1e-3, 0.0),
        (OptimizerName::Lion, 1e-4, 0.0),
        (OptimizerName::Adagrad, 1e-2, 0.0),
        (OptimizerName::Adadelta, 1.0, 0.0),
    ];

    /// Seven batches an epoch, of which three make an update: three updates, the last of one batch.
    #[test]
    fn schedules_count_updates() {
        let options = TrainOptions { batch_size: 16, epochs: 2, accumulate: 3, ..TrainOptions::default() };
        let found: Vec<u64> = (0..=14).map(|steps| options.updates(100, steps)).collect();
        assert_eq!(found, [0, 0, 0, 1, 1, 1, 2, 3, 3, 3, 4, 4, 4, 5, 6]);
        assert_eq!(options.rates(100).total, 6);
        let plain = TrainOptions { accumulate: 1, ..options };
        assert!((0..=14).all(|steps| plain.updates(100, steps) == steps));
    }

    #[test]
    fn defaults_depend_on_the_optimizer() {
        for (optimizer, rate, decay) in OPTIMIZERS {
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
            (TrainOptions { nesterov: true, ..base() }, "nesterov true"),
            (TrainOptions { nesterov: true, ..sgd() }, "nesterov true"),
            (TrainOptions { betas: Some([0.9, 1.0]), ..base() }, "betas 0.9,1"),
            (TrainOptions { betas: Some([f64::NAN, 0.9]), ..base() }, "betas NaN,0.9"),
            (TrainOptions { betas: Some([0.9, 0.9]), ..sgd() }, "betas 0.9,0.9"),
            (TrainOptions { epsilon: Some(0.0), ..base() }, "epsilon 0"),
            (TrainOptions { rho: Some(0.9), ..base() }, "rho 0.9"),
            (TrainOptions { rho: Some(1.0), optimizer: OptimizerName::Adadelta, ..base() }, "rho 1"),
            (TrainOptions { epsilon: Some(1e-60), ..base() }, "epsilon 0.0"),
            (TrainOptions { epsilon: Some(1e-8), ..sgd() }, "epsilon 0.0"),
            (TrainOptions { clip_norm: Some(0.0), ..base() }, "clip norm 0"),
            (TrainOptions { clip_norm: Some(f64::NAN), ..base() }, "clip norm NaN"),
            (TrainOptions { clip_value: Some(-1.0), ..base() }, "clip value -1"),
            (TrainOptions { clip_norm: Some(1.0), clip_value: Some(2.0), ..base() }, "clip value 2"),
            (TrainOptions { validation_split: Some(1.0), ..base() }, "validation split 1"),
            (TrainOptions { validation_split: Some(f64::NAN), ..base() }, "validation split NaN"),
            (TrainOptions { accumulate: 0, ..base() }, "accumulate 0"),
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
