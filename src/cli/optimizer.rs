//! The flags of what happens between the gradients and the weights.

use crate::train::options::TrainOptions;
use clap::Args;

/// What happens between the gradients and the weights.
#[derive(Debug, Args)]
pub struct OptimizerArgs {
    /// Keep an average of the weights, such as 0.999 of it a step; it is what is validated and stored
    #[arg(long, value_name = "DECAY", conflicts_with = "resume", allow_negative_numbers = true)]
    ema: Option<f64>,
}

impl OptimizerArgs {
    /// Sets what flags say over what a file said.
    pub(super) fn set(&self, train: &mut TrainOptions) {
        train.ema = self.ema.or(train.ema);
    }
}
