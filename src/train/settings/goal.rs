//! The end of a run, and the epoch that it stores.

use crate::train::settings::options::TrainOptions;
use serde::{Deserialize, Serialize};

/// Which epoch's weights a run stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Keep {
    /// The last epoch's.
    #[default]
    Last,
    /// Those of the epoch with the smallest validation loss (Keras's `restore_best_weights`).
    Best,
}

/// Where a run is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Steps of a whole epoch.
    pub per_epoch: u64,
    /// The last step.
    pub last: u64,
    /// Epochs in a row without a new best after which the run ends before that.
    pub patience: Option<usize>,
}

impl Goal {
    /// The end of a run with these options and this many training samples.
    pub fn new(samples: usize, options: &TrainOptions) -> Goal {
        let per_epoch = samples.div_ceil(options.batch_size.max(1)) as u64;
        let budget = per_epoch.saturating_mul(options.epochs as u64);
        let last = options.max_steps.map_or(budget, |most| most.min(budget));
        Goal { per_epoch, last, patience: options.patience }
    }
}
