//! The runs in a folder, each with its metrics and its state; runs that cannot be read are named.

use crate::error::{Error, Result};
use crate::report::folder::RunRecord;
use crate::train::run::files::is_locked;
use crate::train::run::history::{End, History};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};

/// How deep below the folder runs are looked for: `runs/sweep/1/3` is three folders below `runs`.
const DEEPEST: usize = 4;

/// A path in JSON, whatever bytes it has.
fn as_shown<S: Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.display().to_string())
}

/// The content of a folder.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Runs {
    /// The runs, by their folders.
    pub runs: Vec<RunLine>,
    /// A file that could not be read.
    pub skipped: Vec<Skipped>,
}

/// A run in a few figures.
#[derive(Clone, Debug, Serialize)]
pub struct RunLine {
    /// Its folder.
    #[serde(serialize_with = "as_shown")]
    pub run: PathBuf,
    /// The model.
    pub model: String,
    /// The data.
    pub data: String,
    /// Whether it is running, and how it ended.
    pub state: State,
    /// Epochs that have ended.
    pub epochs: usize,
    /// The requested number of epochs.
    pub of: usize,
    /// `validation`, or `test` where that is what epochs are validated on.
    pub validated_on: &'static str,
    /// The line of `metrics.jsonl` with the smallest `val_loss`.
    pub best: Option<Map<String, Value>>,
    /// The last line of `metrics.jsonl`.
    pub last: Option<Map<String, Value>>,
    /// The test metrics: `test.json`, or the metrics of the last epoch if epochs are validated on the test set.
    pub test: Option<Map<String, Value>>,
    /// Seconds in all; of a run of an older wgrad, those of training.
    pub seconds: f64,
    /// When it began, in UTC.
    pub begun: Option<String>,
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All steps are done.
    Finished,
    /// A process trains at this moment.
    Running,
    /// It was stopped and can be resumed.
    Stopped,
    /// Its process ended without recording an end, for example because it was killed.
    Interrupted,
    /// The device or the disk failed.
    Failed,
}

impl State {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            State::Finished => "finished",
            State::Running => "running",
            State::Stopped => "stopped",
            State::Interrupted => "interrupted",
            State::Failed => "failed",
        }
    }

    fn of(run: &Path) -> Result<State> {
        if is_locked(run) {
            return Ok(State::Running);
        }
        let history = History::read(run)?.unwrap_or_default();
        Ok(match history.sittings.last().map(|sitting| sitting.end) {
            Some(Some(End::Finished)) => State::Finished,
            Some(Some(End::Stopped)) => State::Stopped,
            Some(Some(End::Failed)) => State::Failed,
            Some(None) => State::Interrupted,
            // An older wgrad left the model at the end, and told nothing else.
            None if run.join("model.safetensors").exists() => State::Finished,
            None => State::Stopped,
        })
    }
}

/// Files that could not be read, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// The folder or the link.
    #[serde(serialize_with = "as_shown")]
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

impl Runs {
    /// The runs in a folder and in the folders of it; the folder may be a run itself.
    ///
    /// # Errors
    /// [`Error::Input`] if the folder cannot be read.
    pub fn find(folder: &Path) -> Result<Runs> {
        let mut found = Runs::default();
        if folder.join("config.toml").exists() {
            found.take(folder);
        } else {
            fs::read_dir(folder).map_err(|e| Error::input(format!("{}: {e}", folder.display())))?;
            found.search(folder, DEEPEST);
        }
        found.runs.sort_by(|a, b| (&a.begun, &a.run).cmp(&(&b.begun, &b.run)));
        Ok(found)
    }

    fn skip(&mut self, path: &Path, why: impl std::fmt::Display) {
        self.skipped.push(Skipped { path: path.into(), why: why.to_string() });
    }

    fn search(&mut self, folder: &Path, deeper: usize) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.skip(folder, error),
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let is_link = path.symlink_metadata().is_ok_and(|found| found.is_symlink());
            match path.metadata() {
                Err(error) => {
                    self.skip(&path, if is_link { "a link that leads nowhere".into() } else { error.to_string() })
                }
                Ok(found) if found.is_dir() => match path.join("config.toml").symlink_metadata() {
                    Ok(_) => self.take(&path),
                    // A link may lead round in a circle.
                    Err(_) if deeper > 1 && !is_link => self.search(&path, deeper - 1),
                    Err(_) => {}
                },
                Ok(found) if !found.is_file() => self.skip(&path, "neither a folder nor a plain file"),
                Ok(_) => {}
            }
        }
    }

    /// Reads a run.
    fn take(&mut self, run: &Path) {
        match RunLine::read(run) {
            Ok(line) => self.runs.push(line),
            Err(error) => self.skip(run, error),
        }
    }
}

impl RunLine {
    fn read(run: &Path) -> Result<RunLine> {
        let (record, config) = RunRecord::outline(run)?;
        let best = record.best().cloned();
        let last = record.epochs.last().cloned();
        let own = |line: &Map<String, Value>| {
            let keys =
                line.iter().filter_map(|(key, value)| Some((key.strip_prefix("val_")?.to_owned(), value.clone())));
            keys.collect()
        };
        let trained = record.epochs.iter().filter_map(|line| line.get("seconds")?.as_f64()).sum();
        Ok(RunLine {
            state: State::of(run)?,
            epochs: record.epochs.len(),
            of: config.train.epochs,
            validated_on: if record.validated_apart { "validation" } else { "test" },
            test: record.test.clone().or_else(|| record.left().filter(|_| !record.validated_apart).map(own)),
            best,
            last,
            seconds: record.seconds.unwrap_or(trained),
            begun: record.begun,
            run: run.into(),
            model: config.model,
            data: config.data,
        })
    }

    /// A figure of the epoch with the smallest `val_loss`, such as `val_accuracy`.
    pub fn best(&self, key: &str) -> Option<f64> {
        self.best.as_ref()?.get(key)?.as_f64()
    }

    /// A figure of the test set, such as `accuracy`.
    pub fn tested(&self, key: &str) -> Option<f64> {
        self.test.as_ref()?.get(key)?.as_f64()
    }
}
