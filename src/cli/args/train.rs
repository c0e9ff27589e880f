//! The flags of `wgrad train`: the settings of a run, and what the command does beside them.

use crate::cli::terminal::progress::Format;
use crate::error::{Error, Result};
use crate::model::presets::TABLE;
use crate::train::run::RunConfig;
use crate::train::settings::flags::{Flags, RUN};
use crate::train::settings::recipe::Recipe;
use clap::Args;
use std::path::PathBuf;

/// Train a model
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  wgrad train\n  wgrad train --model mnist-deep --epochs 3 --device cpu\n  \
wgrad train --resume runs/mnist-cnn/1\n  \
wgrad train --augment shift=2,rotate=10,scale=0.08\n  \
wgrad train --lr 0.01,0.003,0.001 --seeds 3\n  \
wgrad train --from runs/mnist-cnn/1/model.safetensors --freeze 0 --data my-digits")]
pub struct TrainArgs {
    /// Settings that go well together; other flags go before them [default: plain]
    #[arg(long, value_enum, value_name = "R", conflicts_with_all = ["config", "resume"])]
    pub(in crate::cli) recipe: Option<Recipe>,
    /// Begin with the settings of a file, such as a run folder's config.toml; flags go before it
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Go on with the run in this folder, as if it had never stopped; --epochs N prolongs it
    #[arg(long, value_name = "RUN")]
    pub(in crate::cli) resume: Option<PathBuf>,
    /// With --resume: from the checkpoint before the last
    #[arg(long)]
    pub(in crate::cli) from_previous: bool,
    #[command(flatten)]
    pub(in crate::cli) flags: Flags,
    /// The run's folder [default: the next runs/<model>/<n>]
    #[arg(long, short = 'o', aliases = ["out", "out-dir", "output", "output-dir", "save-dir"], value_name = "DIR", conflicts_with = "resume", help_heading = RUN)]
    pub(in crate::cli) run_dir: Option<PathBuf>,
    /// Train N times, with the seeds from --seed on, into numbered folders of one sweep; several rates, such as --lr
    /// 0.01,0.003,0.001, are a sweep as well
    #[arg(long, value_name = "N", conflicts_with = "resume", value_parser = clap::value_parser!(u64).range(1..=1000), help_heading = RUN)]
    pub(in crate::cli) seeds: Option<u64>,
    /// text, or json: one JSON object per line on stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", help_heading = RUN)]
    pub(in crate::cli) format: Format,
    /// Print neither epochs nor progress
    #[arg(long, short, help_heading = RUN)]
    pub(in crate::cli) quiet: bool,
    /// Leave no report.html
    #[arg(long, help_heading = RUN)]
    pub(in crate::cli) no_report: bool,
    #[cfg(feature = "watch")]
    #[command(flatten)]
    pub(in crate::cli) watch: crate::cli::commands::watch::WatchArgs,
}

impl TrainArgs {
    /// The settings of the file, the recipe or the defaults, with the flags over them.
    pub(in crate::cli) fn resolve(&self) -> Result<RunConfig> {
        let base = match &self.config {
            Some(path) => RunConfig::read(path)?,
            None => self.recipe.unwrap_or_default().config(),
        };
        let mut config = self.flags.0.over(&base)?;
        if !config.target.is_empty() && config.from.is_none() && self.config.is_none() && !self.flags.0.has("model") {
            config.model = TABLE.into();
        }
        if self.flags.0.has("model") && config.from.is_some() {
            return Err(Error::input("--model: the model comes from the file that `from` names"));
        }
        Ok(config)
    }

    /// The device, where a flag names one.
    pub(in crate::cli) fn device<'a>(&self, config: &'a RunConfig) -> Option<&'a str> {
        config.device.as_deref().filter(|_| self.flags.0.has("device"))
    }
}
