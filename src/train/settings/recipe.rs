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
    /// nanoGPT's settings for a CPU: gpt-mini for 2000 steps of 12 windows of 64 characters.
    GptMini,
    /// nanoGPT's settings for characters: gpt-char for 5000 steps of 64 windows of 256.
    GptChar,
    /// A vision transformer on MNIST: the settings of `best` for vit-mini, 10 epochs.
    VitMini,
}

/// nanoGPT's AdamW with a warm-up and a cosine to a tenth of the rate.
fn nano_gpt(model: &str, batch_size: usize, steps: u64) -> RunConfig {
    RunConfig {
        model: model.into(),
        train: TrainOptions {
            epochs: 1000,
            max_steps: Some(steps),
            batch_size,
            optimizer: OptimizerName::Adamw,
            lr: Some(1e-3),
            betas: Some([0.9, 0.99]),
            epsilon: Some(1e-8),
            weight_decay: Some(0.1),
            decay_matrices_only: true,
            schedule: ScheduleName::Cosine,
            warmup_steps: 100,
            min_lr: Some(1e-4),
            clip_norm: Some(1.0),
            ..TrainOptions::default()
        },
        ..RunConfig::default()
    }
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
            Recipe::GptMini => nano_gpt("gpt-mini", 12, 2000),
            Recipe::GptChar => nano_gpt("gpt-char", 64, 5000),
            Recipe::VitMini => {
                let best = Recipe::Best.config();
                let train = TrainOptions { epochs: 10, ..best.train };
                RunConfig { model: "vit-mini".into(), train, ..best }
            }
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
