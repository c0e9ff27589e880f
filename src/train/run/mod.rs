//! A run: its configuration as a file, and the folder that it leaves behind.

pub mod checkpoints;
#[cfg(feature = "cli")]
pub mod events;
pub mod files;
mod logs;

use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::formats::weights::Weights;
use crate::train::epochs::engine::Record;
use crate::train::epochs::evaluator::Totals;
use crate::train::epochs::progress::Progress;
use crate::train::epochs::trainer::Metrics;
use crate::train::run::checkpoints::{Checkpoints, Which};
use crate::train::run::files::{LOCK, bring_to, lock, sync_folder, write_whole};
use crate::train::run::logs::Logs;
use crate::train::settings::every::Every;
use crate::train::settings::options::TrainOptions;
use crate::train::state::checkpoint::Checkpoint;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The most bytes that a configuration may have.
pub const LARGEST_CONFIG_BYTES: u64 = 1 << 20;

/// Everything that `wgrad train` can be told; `config.toml` of a run folder, all resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// A preset or a model file.
    pub model: String,
    /// `mnist`, a folder, or a CSV file.
    pub data: String,
    /// Height and width that a folder's images are brought to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<[usize; 2]>,
    /// Channels of a folder's images, 1 or 3; without, 1 where all are grey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_channels: Option<usize>,
    /// Whether a file in a folder of images that cannot be used is an error.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strict_data: bool,
    /// Takes only the first so many training samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<usize>,
    /// Takes only the first so many test samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<usize>,
    /// First weights, from a safetensors file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// A trained model to go on from: its layers and weights, and a new head where the data has other classes. It
    /// goes before `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// The device, as `--device` takes it; where it is not given, the command takes what `WGRAD_DEVICE` names, or else
    /// `auto`. A run's folder has it always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Whether anything less than a GPU is an error.
    pub require_gpu: bool,
    /// Threads of the native CPU; 0 takes all cores.
    pub threads: usize,
    /// Whether every step is written to `steps.jsonl`.
    pub log_steps: bool,
    /// How often checkpoints are written, besides at the end of every epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<Every>,
    /// What decides the numbers.
    pub train: TrainOptions,
}

impl Default for RunConfig {
    fn default() -> Self {
        RunConfig {
            model: "mnist-cnn".into(),
            data: crate::data::BUILT_IN.into(),
            image_size: None,
            image_channels: None,
            strict_data: false,
            train_limit: None,
            test_limit: None,
            init: None,
            from: None,
            device: None,
            require_gpu: false,
            threads: 0,
            log_steps: false,
            checkpoint_every: None,
            train: TrainOptions::default(),
        }
    }
}

impl RunConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Error::Input`] that names the file, and the line of an unknown key or a value of another type.
    pub fn read(path: &Path) -> Result<Self> {
        let fault = |why: &dyn std::fmt::Display| Error::input(format!("{}: {why}", path.display()));
        // The limit holds for what is read, since a pipe or a device has no length to ask for.
        let file = File::open(path).map_err(|e| fault(&e))?;
        let mut bytes = Vec::new();
        file.take(LARGEST_CONFIG_BYTES + 1).read_to_end(&mut bytes).map_err(|e| fault(&e))?;
        if bytes.len() as u64 > LARGEST_CONFIG_BYTES {
            let most = LARGEST_CONFIG_BYTES;
            return Err(fault(&format!("found more than {most} bytes, expected a configuration of at most {most}")));
        }
        let text = String::from_utf8(bytes).map_err(|e| fault(&e.utf8_error()))?;
        toml::from_str(&text).map_err(|e: toml::de::Error| {
            // The library's own text is a drawing of several lines.
            let start = e.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
            let message = e.message().replace('\n', " ");
            fault(&format!("line {line}: {message}{}", crate::near::hint_in(&message)))
        })
    }

    /// The configuration as a file.
    pub fn to_toml(&self) -> Result<String> {
        let resolved = RunConfig { train: self.train.clone().resolved(), ..self.clone() };
        toml::to_string(&resolved).map_err(|e| Error::failed(format!("the configuration cannot be written: {e}")))
    }

    /// The folder of the data, absolute, so that it is found from elsewhere too; none for the built-in set.
    pub fn data_folder(&self) -> Option<String> {
        let folder = (self.data != crate::data::BUILT_IN).then(|| std::path::absolute(&self.data).ok())??;
        folder.to_str().map(Into::into)
    }
}

/// What a run found on the test set at its end, where its epochs were validated on other data.
pub const TEST: &str = "test.json";

/// The folder of a run, locked: `config.toml`, `device.json`, the logs, `checkpoints` and `model.safetensors`.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    logs: Logs,
    checkpoints: Checkpoints,
    // The data's folder, absolute, and the step of the last checkpoint.
    data_folder: Option<String>,
    saved: Option<u64>,
    // Held until the run is over.
    _lock: File,
}

/// What a run goes on from.
#[derive(Debug)]
pub struct Resume<'a> {
    /// Which checkpoint it is.
    pub which: Which,
    /// The checkpoint.
    pub checkpoint: &'a Checkpoint,
    /// How far the run has come: as the checkpoint says, but that an epoch may be open again.
    pub progress: &'a Progress,
    /// The settings that hold now.
    pub config: &'a RunConfig,
    /// The folder of the data, absolute.
    pub data_folder: Option<String>,
    /// The new `device.json`, where a device was opened.
    pub device_json: Option<String>,
}

impl RunFolder {
    /// The next free `runs/<model>/<n>`.
    pub fn next(model: &str) -> PathBuf {
        let base = Path::new("runs").join(model);
        let taken = fs::read_dir(&base).into_iter().flatten().flatten();
        let last = taken.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok()).max();
        base.join((last.unwrap_or(0) + 1).to_string())
    }

    /// Creates the next free `runs/<model>/<n>`; of several processes at once each gets one of its own.
    ///
    /// # Errors
    /// [`Error::Input`] where it cannot be created.
    pub fn claim(model: &str) -> Result<PathBuf> {
        loop {
            let path = Self::next(model);
            let created = fs::create_dir_all(path.parent().unwrap_or(&path)).and_then(|()| fs::create_dir(&path));
            match created {
                Ok(()) => return Ok(path),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::input(format!("run folder {}: {e}", path.display()))),
            }
        }
    }

    /// Refuses a folder that holds something already, before any work is done.
    pub fn check(path: &Path) -> Result<()> {
        match fs::read_dir(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::input(format!("run folder {}: {e}", path.display()))),
            Ok(mut entries) => match entries.find(|entry| entry.as_ref().is_ok_and(|e| e.file_name() != LOCK)) {
                None => Ok(()),
                Some(_) => Err(Error::input(format!(
                    "run folder {0}: it is not empty; wgrad train --resume {0} goes on with a run",
                    path.display()
                ))),
            },
        }
    }

    /// Creates the folder and writes what is known before the first step.
    ///
    /// # Errors
    /// [`Error::Input`] where the folder holds something or cannot be written.
    pub fn create(path: &Path, config: &RunConfig, device_json: &str) -> Result<Self> {
        Self::check(path)?;
        let wrong = |e: &dyn std::fmt::Display| Error::input(format!("run folder: {e}"));
        fs::create_dir_all(path).map_err(|e| wrong(&format!("{}: {e}", path.display())))?;
        let lock = lock(path).map_err(|e| wrong(&e))?;
        let begin = || {
            write_whole(&path.join("config.toml"), config.to_toml()?.as_bytes())?;
            write_whole(&path.join("device.json"), device_json.as_bytes())?;
            let checkpoints = Checkpoints::of(path);
            checkpoints.create()?;
            Ok((checkpoints, Logs::bring_to(path, &Progress::default(), config.log_steps)?.0))
        };
        let (checkpoints, logs) = begin().map_err(|e: Error| wrong(&e))?;
        let data_folder = config.data_folder();
        Ok(RunFolder { path: path.into(), logs, checkpoints, data_folder, saved: None, _lock: lock })
    }

    /// Opens a folder to go on from a checkpoint: everything in it is brought to what it was then. Also returns what
    /// cannot be brought back.
    ///
    /// # Errors
    /// [`Error::Failed`] where the folder cannot be written.
    pub fn resume(path: &Path, lock: File, from: &Resume) -> Result<(Self, Option<String>)> {
        let Progress { step, .. } = from.progress;
        let checkpoints = Checkpoints::of(path);
        checkpoints.settle(from.which, from.checkpoint)?;
        let (logs, notice) = Logs::bring_to(path, from.progress, from.config.log_steps)?;
        bring_to(&path.join("config.toml"), from.config.to_toml()?.as_bytes())?;
        if let Some(device_json) = &from.device_json {
            bring_to(&path.join("device.json"), device_json.as_bytes())?;
        }
        let data_folder = from.data_folder.clone();
        Ok((RunFolder { path: path.into(), logs, checkpoints, data_folder, saved: Some(*step), _lock: lock }, notice))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds an epoch to the logs.
    pub fn epoch(&mut self, metrics: &Metrics) -> Result<()> {
        self.logs.epoch(metrics)
    }

    /// Adds steps to `steps.jsonl`, where it is kept.
    pub fn steps(&mut self, first: u64, records: &[Record]) -> Result<()> {
        self.logs.steps(first, records)
    }

    /// Writes a checkpoint.
    pub fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.logs.sync()?;
        let mut checkpoint = checkpoint.clone();
        checkpoint.state.data_folder = self.data_folder.clone();
        self.checkpoints.write(&checkpoint)?;
        self.saved = Some(checkpoint.state.progress.step);
        Ok(())
    }

    /// Writes `model.safetensors`, unless it is there with these weights.
    pub fn model(&self, weights: &Weights, model: &Model) -> Result<PathBuf> {
        let path = self.path.join("model.safetensors");
        bring_to(&path, &weights.to_bytes(model)?)?;
        sync_folder(&self.path).map(|()| path)
    }

    /// Writes a picture.
    pub fn picture(&self, name: &str, png: &[u8]) -> Result<()> {
        write_whole(&self.path.join(name), png)
    }

    /// Writes `test.json`: what was found on the test set at the end.
    pub fn test(&self, totals: &Totals) -> Result<()> {
        let (loss, accuracy, samples) = (totals.loss(), totals.accuracy(), totals.samples());
        let found = serde_json::json!({ "loss": loss, "accuracy": accuracy, "samples": samples });
        bring_to(&self.path.join(TEST), format!("{found}\n").as_bytes())?;
        sync_folder(&self.path)
    }

    /// The last checkpoint that was written whole, and its step.
    pub fn last_good(&self) -> Option<(PathBuf, u64)> {
        Some((self.checkpoints.path("last"), self.saved?))
    }
}
