//! A run: its configuration as a file, and the folder that it leaves behind.

use super::engine::Record;
use super::options::TrainOptions;
use super::trainer::Metrics;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::weights::Weights;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Everything that `wgrad train` can be told; `config.toml` of a run folder, all resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// A preset or a model file.
    pub model: String,
    /// `mnist` or a folder.
    pub data: String,
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
    /// The device, as `--device` takes it.
    pub device: String,
    /// Whether anything less than a GPU is an error.
    pub require_gpu: bool,
    /// Threads of the native CPU; 0 takes all cores.
    pub threads: usize,
    /// Whether every step is written to `steps.jsonl`.
    pub log_steps: bool,
    /// What decides the numbers.
    pub train: TrainOptions,
}

impl Default for RunConfig {
    fn default() -> Self {
        RunConfig {
            model: "mnist-cnn".into(),
            data: crate::data::BUILT_IN.into(),
            train_limit: None,
            test_limit: None,
            init: None,
            from: None,
            device: "auto".into(),
            require_gpu: false,
            threads: 0,
            log_steps: false,
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
        let text = fs::read_to_string(path).map_err(|e| fault(&e))?;
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
}

/// The folder of a run: `config.toml`, `device.json`, `metrics.jsonl`, `steps.jsonl`, `model.safetensors`.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
    steps: Option<File>,
}

impl RunFolder {
    /// The next free `runs/<model>/<n>`.
    pub fn next(model: &str) -> PathBuf {
        let base = Path::new("runs").join(model);
        let taken = fs::read_dir(&base).into_iter().flatten().flatten();
        let last = taken.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok()).max();
        base.join((last.unwrap_or(0) + 1).to_string())
    }

    /// Refuses a folder that holds something already, before any work is done.
    pub fn check(path: &Path) -> Result<()> {
        match fs::read_dir(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::input(format!("run folder {}: {e}", path.display()))),
            Ok(mut entries) => match entries.next() {
                None => Ok(()),
                Some(_) => Err(Error::input(format!("run folder {}: it is not empty", path.display()))),
            },
        }
    }

    /// Creates the folder and writes what is known before the first step.
    pub fn create(path: &Path, config: &RunConfig, device_json: &str) -> Result<Self> {
        Self::check(path)?;
        let wrong = |what: &Path, e: std::io::Error| Error::input(format!("run folder: {}: {e}", what.display()));
        fs::create_dir_all(path).map_err(|e| wrong(path, e))?;
        let open = |name: &str| {
            let path = path.join(name);
            File::create(&path).map_err(|e| wrong(&path, e))
        };
        let write =
            |name: &str, text: &str| open(name)?.write_all(text.as_bytes()).map_err(|e| wrong(&path.join(name), e));
        write("config.toml", &config.to_toml()?)?;
        write("device.json", device_json)?;
        let steps = if config.log_steps { Some(open("steps.jsonl")?) } else { None };
        Ok(RunFolder { path: path.into(), metrics: open("metrics.jsonl")?, steps })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds an epoch to `metrics.jsonl`.
    pub fn epoch(&mut self, metrics: &Metrics) -> Result<()> {
        let line = serde_json::to_string(metrics).map_err(|e| self.fault("metrics.jsonl", &e))?;
        let done = writeln!(self.metrics, "{line}").and_then(|()| self.metrics.flush());
        done.map_err(|e| self.fault("metrics.jsonl", &e))
    }

    /// Adds steps to `steps.jsonl`, where it is kept.
    pub fn steps(&mut self, first: u64, records: &[Record]) -> Result<()> {
        let Some(file) = &mut self.steps else { return Ok(()) };
        let mut lines = String::new();
        for (step, record) in (first..).zip(records) {
            let line = serde_json::json!({ "step": step, "loss": record.loss });
            lines += &format!("{line}\n");
        }
        let done = file.write_all(lines.as_bytes()).and_then(|()| file.flush());
        done.map_err(|e| self.fault("steps.jsonl", &e))
    }

    /// Writes `model.safetensors`.
    pub fn model(&self, weights: &Weights, model: &Model) -> Result<PathBuf> {
        let path = self.path.join("model.safetensors");
        weights.save(&path, model).map(|()| path)
    }

    fn fault(&self, name: &str, why: &dyn std::fmt::Display) -> Error {
        Error::failed(format!("{}: {why}", self.path.join(name).display()))
    }
}
