//! Recipes: named sets of settings that work well together; explicit settings override them.

use crate::step::augment::Augment;
use crate::train::settings::config::RunConfig;
use crate::train::settings::options::{OptimizerName, ScheduleName, TrainOptions};
use serde::{Deserialize, Serialize};

/// A recipe by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Recipe {
    /// The defaults: a small convolutional net (for MNIST), Adam, no augmentation.
    #[default]
    Plain,
    /// Batch normalisation, augmentation, a one-cycle learning rate and an average of the weights.
    Best,
    /// Karpathy's char-rnn (2015) on a text: RMSprop, batches of 50 windows of 50 characters, gradients clipped at 5.
    CharRnn,
}

impl Recipe {
    /// The settings of a run by this recipe.
    pub fn config(self) -> RunConfig {
        match self {
            Recipe::Plain => RunConfig::default(),
            Recipe::Best => RunConfig {
                model: "mnist-bn".into(),
                train: TrainOptions {
                    epochs: 5,
                    optimizer: OptimizerName::Adamw,
                    lr: Some(5e-3),
                    weight_decay: Some(1e-2),
                    schedule: ScheduleName::OneCycle,
                    ema: Some(0.999),
                    augment: Augment { shift: 2.0, rotate: 10.0, scale: 0.1, shear: 5.0, ..Augment::default() },
                    ..TrainOptions::default()
                },
                ..RunConfig::default()
            },
            Recipe::CharRnn => RunConfig {
                model: "char-rnn".into(),
                train: TrainOptions {
                    epochs: 20,
                    batch_size: 50,
                    optimizer: OptimizerName::Rmsprop,
                    lr: Some(2e-3),
                    rho: Some(0.95),
                    clip_norm: Some(5.0),
                    ..TrainOptions::default()
                },
                ..RunConfig::default()
            },
        }
    }
}
