//! The flags of the learning rate's schedule.

use crate::train::settings::options::{ScheduleName, TrainOptions};
use clap::Args;

/// How the learning rate moves over the run.
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// How the learning rate moves over the run [default: constant]
    #[arg(long, value_enum, value_name = "S", conflicts_with = "resume")]
    schedule: Option<ScheduleName>,
    /// Steps in which the rate first rises evenly to its value
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    warmup_steps: Option<u32>,
    /// With --schedule step: epochs between two changes [default: 1]
    #[arg(long, value_name = "EPOCHS", conflicts_with = "resume")]
    step_every: Option<u32>,
    /// With --schedule step: what the rate is multiplied by [default: 0.1]
    #[arg(long, value_name = "X", conflicts_with = "resume")]
    gamma: Option<f64>,
}

impl ScheduleArgs {
    /// Sets what flags say over what a file said.
    pub(in crate::cli) fn set(&self, train: &mut TrainOptions) {
        if let Some(schedule) = self.schedule.filter(|schedule| *schedule != train.schedule) {
            // What the file says beside it belongs to its own schedule.
            (train.schedule, train.step_every, train.gamma) = (schedule, None, None);
        }
        train.warmup_steps = self.warmup_steps.unwrap_or(train.warmup_steps);
        train.step_every = self.step_every.or(train.step_every);
        train.gamma = self.gamma.or(train.gamma);
    }
}
