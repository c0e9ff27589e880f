//! The flags of what happens between the gradients and the weights.

use crate::train::settings::options::{OptimizerName, TrainOptions};
use clap::Args;

/// What happens between the gradients and the weights.
#[derive(Debug, Args)]
pub struct OptimizerArgs {
    /// Optimizer [default: adam]
    #[arg(long, value_enum, conflicts_with = "resume")]
    optimizer: Option<OptimizerName>,
    /// Momentum of sgd and rmsprop [default: 0]
    #[arg(long, value_name = "X", conflicts_with = "resume", allow_negative_numbers = true)]
    momentum: Option<f64>,
    /// Make sgd's momentum Nesterov's
    #[arg(long, conflicts_with = "resume")]
    nesterov: bool,
    /// β₁ and β₂ of adam, adamw and lion [default: 0.9,0.999; lion: 0.9,0.99]
    #[arg(long, value_name = "X,Y", conflicts_with = "resume", value_parser = betas)]
    betas: Option<[f64; 2]>,
    /// ε of adam, adamw and rmsprop [default: 1e-7; rmsprop: 1e-8]
    #[arg(long, value_name = "X", conflicts_with = "resume", allow_negative_numbers = true)]
    epsilon: Option<f64>,
    /// ρ of adadelta [default: 0.9]
    #[arg(long, value_name = "X", conflicts_with = "resume", allow_negative_numbers = true)]
    rho: Option<f64>,
    /// Weight decay [default: 0; adamw: 0.01]
    #[arg(long, value_name = "X", conflicts_with = "resume", allow_negative_numbers = true)]
    weight_decay: Option<f64>,
    /// Scale the gradients down where their norm, over all of them, is larger
    #[arg(long, value_name = "X", conflicts_with_all = ["resume", "clip_value"], allow_negative_numbers = true)]
    clip_norm: Option<f64>,
    /// Cut every gradient to X and -X
    #[arg(long, value_name = "X", conflicts_with = "resume", allow_negative_numbers = true)]
    clip_value: Option<f64>,
    /// Update the weights once every N steps, by the gradients of all their samples [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    accumulate: Option<u32>,
    /// Keep an average of the weights, such as 0.999 of it a step; it is what is validated and stored
    #[arg(long, value_name = "DECAY", conflicts_with = "resume", allow_negative_numbers = true)]
    ema: Option<f64>,
}

impl OptimizerArgs {
    /// Sets what flags say over what a file said.
    pub(in crate::cli) fn set(&self, train: &mut TrainOptions) {
        if let Some(optimizer) = self.optimizer.filter(|optimizer| *optimizer != train.optimizer) {
            // What the file resolved belongs to its own optimizer.
            let TrainOptions { lr, weight_decay, momentum, nesterov, betas, epsilon, rho, .. } = TrainOptions::default();
            (train.lr, train.weight_decay, train.momentum) = (lr, weight_decay, momentum);
            (train.nesterov, train.betas, train.epsilon, train.rho) = (nesterov, betas, epsilon, rho);
            train.optimizer = optimizer;
        }
        train.momentum = self.momentum.unwrap_or(train.momentum);
        train.nesterov |= self.nesterov;
        train.betas = self.betas.or(train.betas);
        train.epsilon = self.epsilon.or(train.epsilon);
        train.rho = self.rho.or(train.rho);
        train.weight_decay = self.weight_decay.or(train.weight_decay);
        if self.clip_norm.is_some() || self.clip_value.is_some() {
            (train.clip_norm, train.clip_value) = (self.clip_norm, self.clip_value);
        }
        train.accumulate = self.accumulate.unwrap_or(train.accumulate);
        train.ema = self.ema.or(train.ema);
    }
}

/// `0.9,0.999`.
fn betas(text: &str) -> Result<[f64; 2], String> {
    let parsed = text.split_once(',').and_then(|(a, b)| Some([a.trim().parse().ok()?, b.trim().parse().ok()?]));
    parsed.ok_or_else(|| "expected two numbers, such as 0.9,0.999".into())
}
