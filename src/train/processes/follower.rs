//! A process of a run other than the first: it computes, and writes and tells nothing.

use crate::data::Dataset;
use crate::device::Device;
use crate::error::Result;
use crate::train::epochs::trainer::Trainer;
use crate::train::finetune::First;
use crate::train::run::RunConfig;
use crate::train::session::Stopped;
use crate::train::settings::interval::Interval;
use std::ops::ControlFlow;

/// A trainer that follows the first process.
#[derive(Debug)]
pub struct Follower {
    /// The trainer.
    pub trainer: Trainer,
    /// How often checkpoints are made.
    pub every: Option<Interval>,
}

impl Follower {
    /// Follows a run from its start, as [`Session::begin`](crate::train::session::Session::begin) begins it.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for invalid settings, and for data that does not fit the model or the device.
    pub fn begin(mut config: RunConfig, data: &Dataset, first: &First, device: &Device) -> Result<Follower> {
        config.train.check()?;
        config.settle_val();
        let trainer = Trainer::new(device, &first.model, data, &config.train, first.weights.as_ref())?;
        Ok(Follower { trainer, every: config.checkpoint_every })
    }

    /// Follows a run that is resumed.
    ///
    /// # Errors
    /// Those of [`Stopped::go_on`].
    pub fn go_on(stopped: &Stopped, data: &Dataset, device: &Device) -> Result<Follower> {
        Ok(Follower { trainer: stopped.trainer(data, device)?, every: stopped.config().checkpoint_every })
    }

    /// Trains to the end of the run, or until any process stops.
    ///
    /// # Errors
    /// Those of [`Trainer::fit`].
    pub async fn drive(&mut self, stop: impl Fn() -> bool) -> Result<()> {
        self.trainer.checkpoints(self.every);
        self.trainer.fit(|_| if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }).await?;
        self.trainer.part()
    }
}
