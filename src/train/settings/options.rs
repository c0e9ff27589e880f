//! The options of a training run, checked before anything is built.

use crate::error::{Error, Result};
use crate::model::init::InitMethod;
use crate::step::augment::Augment;
use crate::train::settings::class_weights::ClassWeights;
#[cfg(feature = "cli")]
use crate::train::settings::flags::{self, AUGMENTATION, DATA, LOSS, MODEL, OPTIMIZER, RATE, TRAINING};
use crate::train::settings::goal::Keep;
use crate::train::settings::loss::{Criterion, LossName};
use crate::train::settings::lr_scale::LrScale;
#[cfg(feature = "cli")]
use crate::train::settings::optimizers::help::{self, number};
pub use crate::train::settings::optimizers::{Optimizer, OptimizerName};
pub use crate::train::settings::schedule::ScheduleName;
use serde::{Deserialize, Serialize};

/// Everything that decides the numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct TrainOptions {
    /// Passes over the training data
    #[cfg_attr(feature = "cli", arg(long, short, aliases = ["num-epochs", "n-epochs", "epoch"], value_name = "N", value_parser = flags::whole::<usize>, default_value_t = TrainOptions::default().epochs, help_heading = TRAINING))]
    pub epochs: usize,
    /// Samples per step [default: 128, or less for a small data set, so that an epoch has at least four steps]
    #[cfg_attr(feature = "cli", arg(long, short, aliases = ["bs", "batch", "batchsize"], value_name = "N", value_parser = flags::whole::<usize>, default_value_t = TrainOptions::default().batch_size, hide_default_value = true, help_heading = TRAINING))]
    pub batch_size: usize,
    /// Optimizer
    #[cfg_attr(feature = "cli", arg(long, aliases = ["optim", "opt"], value_enum, default_value_t = TrainOptions::default().optimizer, help_heading = OPTIMIZER))]
    pub optimizer: OptimizerName,
    /// Learning rate; where not given, the optimizer's.
    #[cfg_attr(feature = "cli", arg(long, aliases = ["learning-rate", "lr0"], value_name = "X", help = help::every("Learning rate", |has| has.lr), allow_negative_numbers = true, help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// How the learning rate changes over the run
    #[cfg_attr(feature = "cli", arg(long, aliases = ["scheduler", "lr-schedule", "lr-scheduler"], value_enum, value_name = "S", default_value_t = TrainOptions::default().schedule, help_heading = RATE))]
    #[serde(skip_serializing_if = "is_default")]
    pub schedule: ScheduleName,
    /// Steps over which the rate first rises linearly to its value
    #[cfg_attr(feature = "cli", arg(long, alias = "num-warmup-steps", value_name = "N", default_value_t = TrainOptions::default().warmup_steps, help_heading = RATE))]
    #[serde(skip_serializing_if = "is_default")]
    pub warmup_steps: u32,
    /// With --schedule step: epochs between changes [default: 1]
    #[cfg_attr(feature = "cli", arg(long, value_name = "EPOCHS", help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_every: Option<u32>,
    /// With --schedule step: the factor by which the rate is multiplied [default: 0.1]
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// With --schedule plateau: the factor by which the rate is multiplied [default: 0.1]
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plateau_factor: Option<f64>,
    /// With --schedule plateau: epochs without a smaller validation loss before the rate is lowered [default: 10]
    #[cfg_attr(feature = "cli", arg(long, value_name = "EPOCHS", help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plateau_patience: Option<u32>,
    /// With --schedule plateau: the relative improvement on the best validation loss that counts as
    /// smaller [default: 0.0001]
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plateau_threshold: Option<f64>,
    /// With --schedule one-cycle: the share of the run in which the rate rises [default: 0.3]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE", help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pct_start: Option<f64>,
    /// With --schedule one-cycle: what --lr is divided by for the first rate [default: 25]
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub div_factor: Option<f64>,
    /// With --schedule one-cycle: what the first rate is divided by for the last [default: 10000]
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_div_factor: Option<f64>,
    /// With --schedule cosine or plateau: the minimum learning rate [default: 0]
    #[cfg_attr(feature = "cli", arg(long, alias = "lr-min", value_name = "X", help_heading = RATE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_lr: Option<f64>,
    /// Momentum of some optimizers.
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", help = help::some("Momentum", |has| has.momentum.map(number)), default_value_t = TrainOptions::default().momentum, hide_default_value = true, allow_negative_numbers = true, help_heading = OPTIMIZER))]
    pub momentum: f64,
    /// Use Nesterov momentum with sgd
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
    /// Scale the gradients down if their global norm is larger than X
    #[cfg_attr(feature = "cli", arg(long, aliases = ["clipnorm", "grad-clip", "max-grad-norm"], value_name = "X", conflicts_with = "clip_value", allow_negative_numbers = true, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Clip every gradient to the range from -X to X
    #[cfg_attr(feature = "cli", arg(long, alias = "clipvalue", value_name = "X", allow_negative_numbers = true, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_value: Option<f64>,
    /// Update the weights once every N steps, with the mean gradient over all their samples
    #[cfg_attr(feature = "cli", arg(long, aliases = ["accumulation-steps", "gradient-accumulation-steps"], value_name = "N", default_value_t = TrainOptions::default().accumulate, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "is_one")]
    pub accumulate: u32,
    /// Weight decay; where not given, the optimizer's.
    #[cfg_attr(feature = "cli", arg(long, alias = "wd", value_name = "X", help = help::every("Weight decay", |has| has.weight_decay), allow_negative_numbers = true, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Let weights of two axes and more alone decay: no biases, no norms
    #[cfg_attr(feature = "cli", arg(long, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "is_default")]
    pub decay_matrices_only: bool,
    /// Random seed: initial weights, order of samples, augmentation, dropout
    #[cfg_attr(feature = "cli", arg(long, alias = "random-seed", value_name = "N", value_parser = flags::whole::<u64>, default_value_t = TrainOptions::default().seed, help_heading = TRAINING))]
    pub seed: u64,
    /// How the initial weights are drawn
    #[cfg_attr(feature = "cli", arg(long, value_enum, value_name = "M", conflicts_with_all = ["init", "from"], default_value_t = TrainOptions::default().init_method, help_heading = MODEL))]
    #[serde(skip_serializing_if = "is_default")]
    pub init_method: InitMethod,
    /// Validate and store an exponential moving average of the weights, with this decay
    #[cfg_attr(feature = "cli", arg(long, alias = "ema-decay", value_name = "DECAY", allow_negative_numbers = true, help_heading = OPTIMIZER))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Do not shuffle: take batches in file order
    #[cfg_attr(feature = "cli", arg(long = "no-shuffle", action = clap::ArgAction::SetFalse, help_heading = TRAINING))]
    pub shuffle: bool,
    /// Stop after N steps
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = flags::whole::<u64>, help_heading = TRAINING))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Early stopping: stop after N epochs in a row without a smaller validation loss
    #[cfg_attr(feature = "cli", arg(long, alias = "early-stopping", value_name = "N", value_parser = flags::whole::<usize>, help_heading = TRAINING))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Which epoch's weights to store in model.safetensors at the end
    #[cfg_attr(feature = "cli", arg(long, value_enum, value_name = "EPOCH", default_value_t = TrainOptions::default().keep, help_heading = TRAINING))]
    #[serde(skip_serializing_if = "is_default")]
    pub keep: Keep,
    /// Hold out a share of the training samples for validation, such as 0.1 of every class; the test set is used once,
    /// at the end
    #[cfg_attr(feature = "cli", arg(long, aliases = ["val-split", "valid-split"], value_name = "SHARE", allow_negative_numbers = true, help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_split: Option<f64>,
    /// Loss [default: softmax for classes, bce for yes-or-no answers, mse for numbers]
    #[cfg_attr(feature = "cli", arg(long, value_enum, value_name = "L", help_heading = LOSS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossName>,
    /// With --loss softmax: the share of each label that is spread over all classes
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", default_value_t = TrainOptions::default().label_smoothing, allow_negative_numbers = true, help_heading = LOSS))]
    #[serde(skip_serializing_if = "is_default")]
    pub label_smoothing: f64,
    /// With --loss softmax: the weight of each class, such as 0.2,1,1; or balanced: n / (k · n_c) for n samples, k
    /// classes and n_c samples of the class
    #[cfg_attr(feature = "cli", arg(long, value_name = "A,B,…|balanced", default_value_t = TrainOptions::default().class_weights, hide_default_value = true, allow_hyphen_values = true, help_heading = LOSS))]
    #[serde(skip_serializing_if = "is_default")]
    pub class_weights: ClassWeights,
    /// Layers that are not trained: numbers as in the weight file, such as 0,2; modules, such as layer1; or "all but head"
    #[cfg_attr(feature = "cli", arg(long, value_name = "LAYERS", value_delimiter = ',', help_heading = MODEL))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// Multiply the learning rate of layers, named as for --freeze: layer1=0.1, or "all but head=0.1"; where several name a
    /// layer, the last one counts
    #[cfg_attr(feature = "cli", arg(long, value_name = "LAYERS=X", value_delimiter = ',', help_heading = RATE))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lr_scale: Vec<LrScale>,
    /// The maximum size of a split's images and masks, or of its text, on the device, such as 64MiB; larger splits are loaded
    /// in chunks, from the file if it is IDX or NumPy [default: the device's limit]
    #[cfg_attr(feature = "cli", arg(long, value_name = "BYTES", value_parser = flags::bytes, help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_data_limit: Option<u64>,
    /// Compute activations again in the backward pass instead of keeping them all: less memory, longer steps, the same weights
    #[cfg_attr(feature = "cli", arg(long, aliases = ["gradient-checkpointing", "checkpoint-activations"], help_heading = TRAINING))]
    #[serde(skip_serializing_if = "is_default")]
    pub recompute: bool,
    /// Change training images at random in each step: shift=PIXELS, rotate=DEGREES, scale=SHARE, shear=DEGREES,
    /// hflip, vflip, crop=PIXELS, random-resized-crop[=SHARE[-SHARE]], fill=N|R,G,B, cutout=PIXELS, brightness=SHARE,
    /// contrast=SHARE, saturation=SHARE, hue=SHARE, mixup=A, or off
    #[cfg_attr(feature = "cli", arg(long, value_name = "LIST", default_value_t = TrainOptions::default().augment, hide_default_value = true, help_heading = AUGMENTATION))]
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
            plateau_factor: None,
            plateau_patience: None,
            plateau_threshold: None,
            pct_start: None,
            div_factor: None,
            final_div_factor: None,
            min_lr: None,
            momentum: 0.0,
            nesterov: false,
            betas: None,
            epsilon: None,
            rho: None,
            clip_norm: None,
            clip_value: None,
            accumulate: 1,
            weight_decay: None,
            decay_matrices_only: false,
            seed: 0,
            init_method: InitMethod::GlorotUniform,
            ema: None,
            shuffle: true,
            max_steps: None,
            patience: None,
            keep: Keep::Last,
            validation_split: None,
            loss: None,
            label_smoothing: 0.0,
            class_weights: ClassWeights::Equal,
            freeze: Vec::new(),
            lr_scale: Vec::new(),
            device_data_limit: None,
            recompute: false,
            augment: Augment::default(),
        }
    }
}

impl TrainOptions {
    /// The learning rate in force.
    pub fn rate(&self) -> f64 {
        self.lr.unwrap_or(self.optimizer.defaults().lr)
    }

    /// The loss with all its settings.
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

    /// Refuses invalid settings; the batch size is checked against the data when the step is built.
    pub fn check(&self) -> Result<()> {
        self.criterion().check()?;
        let plain = self.criterion().is_softmax() && self.class_weights == ClassWeights::Equal;
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
        self.check_schedule()?;
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

/// The error of an invalid setting.
pub(in crate::train) fn wrong(what: &str, found: &dyn std::fmt::Display, expected: &str) -> Result<()> {
    Err(Error::input(format!("{what} {found}: {expected} is expected")))
}

#[cfg(test)]
mod tests;
