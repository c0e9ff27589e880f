//! A run: its configuration as a file, and its folder.

pub mod checkpoints;
#[cfg(feature = "cli")]
pub mod events;
pub mod files;
pub mod history;
mod logs;

pub use logs::SAMPLES;

/// How names of event files begin.
const EVENTS: &str = "events.out.tfevents.";

use crate::data::Dataset;
use crate::data::column::crc32;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::formats::weights::Weights;
use crate::train::epochs::engine::Record;
use crate::train::epochs::evaluator::Totals;
use crate::train::epochs::progress::Progress;
use crate::train::epochs::trainer::{Metrics, Sample};
use crate::train::run::checkpoints::{Checkpoints, Which};
use crate::train::run::files::{LOCK, bring_to, lock, sync_folder, write_whole};
use crate::train::run::history::{End, HISTORY, History, Samples};
use crate::train::run::logs::Logs;
use crate::train::session::resume_command;
pub use crate::train::settings::config::{LARGEST_CONFIG_BYTES, RunConfig};
use crate::train::settings::goal::Keep;
use crate::train::state::checkpoint::Checkpoint;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The test metrics at the end of a run whose epochs were validated on other data.
pub const TEST: &str = "test.json";

/// The folder of a run, locked: `config.toml`, `device.json`, `run.json`, the logs, `checkpoints` and `model.safetensors`.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    logs: Logs,
    checkpoints: Checkpoints,
    // The data's folder, absolute, and the step of the last checkpoint.
    data_folder: Option<String>,
    saved: Option<u64>,
    history: History,
    // When the sitting began.
    since: Instant,
    // Held until the run is over.
    _lock: File,
}

/// The checkpoint from which a run resumes.
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
    /// Whether a folder has the files of a run that ended before its first checkpoint, whole or not, and no others. The lock is
    /// the first of them: settings without it may be the user's own.
    pub(in crate::train) fn is_unbegun(path: &Path) -> bool {
        let known = ["config.toml", "device.json", "checkpoints", "metrics.jsonl", "metrics.csv", "steps.jsonl"];
        let others = [LOCK, HISTORY, SAMPLES, "augmented.png"];
        let ours = |entry: std::io::Result<fs::DirEntry>| {
            let name = entry.map(|entry| entry.file_name().to_string_lossy().into_owned()).unwrap_or_default();
            let whole = name.strip_suffix(".tmp").unwrap_or(&name);
            known.contains(&whole) || others.contains(&whole) || whole.starts_with(EVENTS)
        };
        let is_ours = path.join(LOCK).is_file() && fs::read_dir(path).is_ok_and(|mut all| all.all(ours));
        is_ours && !Checkpoints::of(path).any()
    }

    /// The folder of a model's runs, `runs/<model>`.
    pub fn base(model: &str) -> PathBuf {
        Path::new("runs").join(model)
    }

    /// Creates the next free `runs/<model>/<n>`; of several processes at once each gets one of its own.
    ///
    /// # Errors
    /// [`Error::Input`] if it cannot be created.
    pub fn claim(model: &str) -> Result<PathBuf> {
        let base = Self::base(model);
        let fault = |path: &Path, why: &dyn std::fmt::Display| {
            Error::input(format!("run folder {}: {why}; --run-dir DIR names another", path.display()))
        };
        fs::create_dir_all(&base).map_err(|e| match e.kind() {
            // Also a link to a folder that is not there.
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                fault(&base, &"found a file, or a link that leads nowhere, expected a folder")
            }
            _ => fault(&base, &e),
        })?;
        loop {
            let taken = fs::read_dir(&base).map_err(|e| fault(&base, &e))?.flatten();
            let last = taken.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok()).max();
            let next = last.unwrap_or(0).checked_add(1);
            let next = next.ok_or_else(|| fault(&base, &"found a run of the highest number, expected lower ones"))?;
            let path = base.join(next.to_string());
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                // Another process was faster, and its folder counts in the next round.
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(fault(&path, &e)),
            }
        }
    }

    /// Refuses a folder that holds something already, before any work is done. A run that ended before its first checkpoint
    /// may be begun again.
    ///
    /// # Errors
    /// [`Error::Input`] that says how to go on.
    pub fn check(path: &Path) -> Result<()> {
        let fault = |why: &dyn std::fmt::Display| Error::input(format!("run folder {}: {why}", path.display()));
        let mut entries = match fs::read_dir(path) {
            Err(e) if e.kind() == ErrorKind::NotFound && path.symlink_metadata().is_err() => return Ok(()),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(fault(&"found a link that leads nowhere, expected a folder or a new name"));
            }
            entries => entries.map_err(|e| fault(&e))?,
        };
        if entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == LOCK)) || Self::is_unbegun(path) {
            return Ok(());
        }
        Err(fault(&match (path.join("config.toml").exists(), Checkpoints::of(path).any()) {
            (true, true) => format!("it is not empty; {} resumes the run in it", resume_command(path)),
            (true, false) => {
                "it is not empty, and no run in it can be resumed; expected a new folder or an empty one".into()
            }
            _ => "it is not empty; it holds no run; expected a new folder or an empty one".into(),
        }))
    }

    /// Creates the folder and writes what is known before the first step.
    ///
    /// # Errors
    /// [`Error::Input`] if the folder holds something or cannot be written.
    pub fn create(path: &Path, config: &RunConfig, device_json: &str) -> Result<Self> {
        Self::check(path)?;
        let wrong = |e: &dyn std::fmt::Display| Error::input(format!("run folder: {e}"));
        fs::create_dir_all(path).map_err(|e| wrong(&format!("{}: {e}", path.display())))?;
        let lock = lock(path).map_err(|e| wrong(&e))?;
        // Another process may have trained in it while this one waited for the lock.
        Self::check(path)?;
        let begin = || {
            write_whole(&path.join("config.toml"), config.to_toml()?.as_bytes())?;
            write_whole(&path.join("device.json"), device_json.as_bytes())?;
            let checkpoints = Checkpoints::of(path);
            checkpoints.create()?;
            Ok((checkpoints, Logs::bring_to(path, &Progress::default(), config.log_steps)?.0))
        };
        let (checkpoints, logs) = begin().map_err(|e: Error| wrong(&e))?;
        let data_folder = config.data_folder();
        let (history, since) = (History::default(), Instant::now());
        Ok(RunFolder { path: path.into(), logs, checkpoints, data_folder, saved: None, history, since, _lock: lock })
    }

    /// Opens a folder to go on from a checkpoint: everything in it is brought to what it was then. Also returns what
    /// cannot be brought back.
    ///
    /// # Errors
    /// [`Error::Failed`] if the folder cannot be written.
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
        // An unreadable history of older sessions does not stop a run.
        let (history, lost) = match History::read(path) {
            Ok(history) => (history.unwrap_or_default(), None),
            Err(error) => (History::default(), Some(format!("{error}; it is begun again"))),
        };
        let notice = [notice, lost].into_iter().flatten().reduce(|one, other| format!("{one}\nnote: {other}"));
        let (saved, since) = (Some(*step), Instant::now());
        let folder =
            RunFolder { path: path.into(), logs, checkpoints, data_folder, saved, history, since, _lock: lock };
        Ok((folder, notice))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down that a sitting begins, on this many samples.
    ///
    /// # Errors
    /// [`Error::Failed`] if the folder cannot be written.
    pub fn begins(&mut self, samples: Samples, data: &Dataset) -> Result<()> {
        self.history.begin(samples, self.data_folder.clone(), crc32(data.test.columns())?);
        self.since = Instant::now();
        self.tell(None)
    }

    /// Writes down how the sitting ended.
    ///
    /// # Errors
    /// [`Error::Failed`] if the folder cannot be written.
    pub fn ends(&mut self, end: End) -> Result<()> {
        self.tell(Some(end))
    }

    /// Brings `run.json` up to now.
    fn tell(&mut self, end: Option<End>) -> Result<()> {
        let Some(sitting) = self.history.sittings.last_mut() else { return Ok(()) };
        (sitting.seconds, sitting.end) = (self.since.elapsed().as_secs_f64(), end);
        let path = self.path.join(HISTORY);
        let text = serde_json::to_string(&self.history).map_err(|e| files::fault(&path, &e))?;
        write_whole(&path, format!("{text}\n").as_bytes())
    }

    /// Adds an epoch to the logs.
    pub fn epoch(&mut self, metrics: &Metrics) -> Result<()> {
        self.logs.epoch(metrics)
    }

    /// Adds a generated text to `samples.jsonl`.
    pub fn sample(&mut self, epoch: usize, step: u64, sample: &Sample) -> Result<()> {
        self.logs.sample(epoch, step, sample)
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
        self.tell(None)?;
        self.saved = Some(checkpoint.state.progress.step);
        Ok(())
    }

    /// Writes `model.safetensors`, unless it is there with these weights.
    pub fn model(&self, weights: &Weights, model: &Model) -> Result<PathBuf> {
        let path = self.path.join("model.safetensors");
        bring_to(&path, &weights.to_bytes(model)?)?;
        sync_folder(&self.path).map(|()| path)
    }

    /// Whether `model.safetensors` is there with these weights.
    pub(in crate::train) fn has_model(&self, weights: &Weights, model: &Model) -> Result<bool> {
        let bytes = weights.to_bytes(model)?;
        Ok(crate::files::read(&self.path.join("model.safetensors"), bytes.len() as u64)
            .is_ok_and(|found| found == bytes))
    }

    /// Writes a picture.
    pub fn picture(&self, name: &str, png: &[u8]) -> Result<()> {
        write_whole(&self.path.join(name), png)
    }

    /// Writes `test.json`: what was found on the test set at the end: loss, accuracy, samples and `further`
    /// metrics by their names.
    pub fn test(&self, totals: &Totals, further: &[(&str, Option<f64>)]) -> Result<()> {
        let (loss, accuracy, samples) = (totals.loss(), totals.accuracy(), totals.samples());
        let mut found = serde_json::json!({ "loss": loss, "accuracy": accuracy, "samples": samples });
        for (key, value) in further {
            value.iter().for_each(|value| found[*key] = (*value).into());
        }
        bring_to(&self.path.join(TEST), format!("{found}\n").as_bytes())?;
        sync_folder(&self.path)
    }

    /// The weights of the best epoch, where it is that epoch's that the run is to leave and not the last one's.
    ///
    /// # Errors
    /// [`Error::Input`] if the best checkpoint is damaged or gone.
    pub(in crate::train) fn kept(&self, keep: Keep, progress: &Progress) -> Result<Option<Weights>> {
        let best = progress.best.filter(|best| keep == Keep::Best && best.step != progress.step);
        best.map(|best| self.checkpoints.best_weights(best)).transpose()
    }

    /// The last checkpoint that was written whole, and its step.
    pub fn last_good(&self) -> Option<(PathBuf, u64)> {
        Some((self.checkpoints.path("last"), self.saved?))
    }
}
