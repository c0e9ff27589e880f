//! The flags of `wgrad train`: the settings of a run, and the options of the command itself.

use crate::cli::terminal::progress::Format;
use crate::error::{Error, Result};
use crate::model::presets::{TABLE, TEXTS};
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
wgrad train --data shakespeare.txt --model char-rnn\n  \
mpirun -n 4 wgrad train --model resnet-small\n  \
wgrad train --from runs/mnist-cnn/1/model.safetensors --freeze 0 --data my-digits")]
pub struct TrainArgs {
    /// A set of settings that work well together; other flags override it [default: plain]
    #[arg(long, value_enum, value_name = "R", conflicts_with_all = ["config", "resume"])]
    pub(in crate::cli) recipe: Option<Recipe>,
    /// Read the settings from a file, such as a run folder's config.toml; flags override it
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Resume the run in this folder, as if it had never stopped; --epochs N makes it longer
    #[arg(long, value_name = "RUN")]
    pub(in crate::cli) resume: Option<PathBuf>,
    /// With --resume: start from the checkpoint before the last one
    #[arg(long)]
    pub(in crate::cli) from_previous: bool,
    #[command(flatten)]
    pub(in crate::cli) flags: Flags,
    /// The run's folder [default: the next runs/<model>/<n>]
    #[arg(long, short = 'o', aliases = ["out", "out-dir", "output", "output-dir", "save-dir"], value_name = "DIR", conflicts_with = "resume", help_heading = RUN)]
    pub(in crate::cli) run_dir: Option<PathBuf>,
    /// Train N times as a sweep, with seeds counted up from --seed, each into a numbered folder; several rates, such
    /// as --lr 0.01,0.003,0.001, are a sweep too
    #[arg(long, value_name = "N", conflicts_with = "resume", value_parser = clap::value_parser!(u64).range(1..=1000), help_heading = RUN)]
    pub(in crate::cli) seeds: Option<u64>,
    /// Refuse to begin unless a launcher such as mpirun started N processes
    #[arg(long, value_name = "N", help_heading = RUN)]
    pub(in crate::cli) processes_required: Option<usize>,
    /// text, or json: one JSON object per line on stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", help_heading = RUN)]
    pub(in crate::cli) format: Format,
    /// Do not print epochs or progress
    #[arg(long, short, help_heading = RUN)]
    pub(in crate::cli) quiet: bool,
    /// Do not write report.html
    #[arg(long, help_heading = RUN)]
    pub(in crate::cli) no_report: bool,
    #[cfg(feature = "watch")]
    #[command(flatten)]
    pub(in crate::cli) watch: crate::cli::commands::watch::WatchArgs,
}

impl TrainArgs {
    /// The settings of the file, the recipe or the defaults, overridden by the flags.
    pub(in crate::cli) fn resolve(&self) -> Result<RunConfig> {
        let base = match &self.config {
            Some(path) => RunConfig::read(path)?,
            None => self.recipe.unwrap_or_default().config(),
        };
        let mut config = self.flags.0.over(&base)?;
        if !config.target.is_empty() && config.from.is_none() && self.config.is_none() && !self.flags.0.has("model") {
            config.model = if config.text.is_some() { TEXTS.into() } else { TABLE.into() };
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
