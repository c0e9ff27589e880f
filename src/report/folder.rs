//! A run folder read back: its settings, its device, its curves, test metrics and times.

use crate::error::{Error, Result};
use crate::report::series::Series;
use crate::train::run::history::{History, Samples, utc};
use crate::train::run::{RunConfig, SAMPLES, TEST};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// The files of a run, apart from its weights.
#[derive(Clone, Debug, Serialize)]
pub struct RunRecord {
    /// The last two parts of the folder's path, such as `mnist-cnn/3`.
    pub name: String,
    /// `config.toml`, flat: `train.lr` is `lr` of the table `train`.
    pub settings: BTreeMap<String, String>,
    /// `device.json`.
    pub device: Value,
    /// The lines of `metrics.jsonl`.
    pub epochs: Vec<Map<String, Value>>,
    /// Loss over epochs, step by step, where it was kept.
    pub steps: Series,
    /// The lines of `samples.jsonl`: the text generated after each epoch, for a model that continues texts.
    pub texts: Vec<Map<String, Value>>,
    /// `test.json`: what the test set said at the end, where epochs were validated on other samples.
    pub test: Option<Map<String, Value>>,
    /// Whether epochs are validated on other samples than the test set's.
    pub validated_apart: bool,
    /// How many samples each set has, where the run told.
    pub samples: Option<Samples>,
    /// When the run began, in UTC as RFC 3339 has it; of an older wgrad, when its settings were written.
    pub begun: Option<String>,
    /// The command line of the first sitting, and of those that went on with the run.
    pub commands: Vec<String>,
    /// Seconds of all sittings together, where the run told.
    pub seconds: Option<f64>,
}

impl RunRecord {
    /// Reads a run folder, and the settings of its run.
    ///
    /// # Errors
    /// [`Error::Input`] that names the file, where one is missing or malformed.
    pub fn read(folder: &Path) -> Result<(RunRecord, RunConfig)> {
        let (mut record, config) = Self::outline(folder)?;
        let path = folder.join("steps.jsonl");
        let steps = if path.exists() { lines(&path)? } else { Vec::new() };
        record.steps = curve(&steps, &record.epochs);
        Ok((record, config))
    }

    /// The same without the loss of each step, which may be a long file.
    ///
    /// # Errors
    /// As [`RunRecord::read`].
    pub fn outline(folder: &Path) -> Result<(RunRecord, RunConfig)> {
        if !folder.is_dir() {
            return Err(Error::input(format!("{}: found no such folder, expected that of a run", folder.display())));
        }
        let path = folder.join("config.toml");
        plain(&path)?;
        let config = RunConfig::read(&path)?;
        let epochs = lines(&folder.join("metrics.jsonl"))?;
        let device = folder.join("device.json");
        let text = read(&device)?;
        let device = serde_json::from_str(&text).map_err(|e| malformed(&device, 0, &e))?;
        let path = folder.join(TEST);
        let test = match path.exists() {
            true => Some(serde_json::from_str(&read(&path)?).map_err(|e| malformed(&path, 0, &e))?),
            false => None,
        };
        let path = folder.join(SAMPLES);
        let texts = if path.exists() { lines(&path)? } else { Vec::new() };
        let history = History::read(folder)?;
        let samples = history.as_ref().map(|history| history.samples);
        // Folders of an older wgrad tell by what is in them.
        let apart = test.is_some() || config.train.validation_split.is_some();
        let record = RunRecord {
            epochs,
            texts,
            test,
            validated_apart: samples.map_or(apart, |samples| samples.validation.is_some()),
            samples,
            begun: begun(folder, history.as_ref()),
            commands: history.iter().flat_map(|all| &all.sittings).map(|one| one.command.clone()).collect(),
            seconds: history.as_ref().map(History::seconds),
            ..RunRecord::named(folder, settings(&config)?, device)
        };
        Ok((record, config))
    }

    /// A run that has just begun.
    ///
    /// # Errors
    /// [`Error::Failed`] if the settings cannot be written down.
    pub fn begun(folder: &Path, config: &RunConfig, device_json: &str) -> Result<RunRecord> {
        let device = serde_json::from_str(device_json).map_err(|e| Error::failed(format!("device.json: {e}")))?;
        let begun = Some(utc(std::time::SystemTime::now()));
        Ok(RunRecord { begun, ..RunRecord::named(folder, settings(config)?, device) })
    }

    /// The line of the epoch with the smallest `val_loss`, the first of them.
    pub fn best(&self) -> Option<&Map<String, Value>> {
        let loss = |line: &Map<String, Value>| line.get("val_loss").and_then(Value::as_f64);
        let measured = self.epochs.iter().filter_map(|line| Some((loss(line)?, line)));
        measured.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, line)| line)
    }

    /// The line of the epoch whose weights the model has that the run leaves: the last, or with `--keep best` the best.
    pub fn left(&self) -> Option<&Map<String, Value>> {
        let keeps_best = self.settings.get("train.keep").is_some_and(|keep| keep == "best");
        if keeps_best { self.best().or(self.epochs.last()) } else { self.epochs.last() }
    }

    /// A run of which nothing else is known.
    fn named(folder: &Path, settings: BTreeMap<String, String>, device: Value) -> RunRecord {
        RunRecord {
            name: name(&std::path::absolute(folder).unwrap_or_else(|_| folder.into())),
            settings,
            device,
            epochs: Vec::new(),
            steps: Series::default(),
            texts: Vec::new(),
            test: None,
            validated_apart: false,
            samples: None,
            begun: None,
            commands: Vec::new(),
            seconds: None,
        }
    }

    /// The device's name; empty where the file has none.
    pub fn device_name(&self) -> &str {
        self.device["device"]["name"].as_str().unwrap_or_default()
    }
}

/// When a run began: its first sitting, or else when its settings were written.
fn begun(folder: &Path, history: Option<&History>) -> Option<String> {
    let first = history.and_then(|history| history.sittings.first()).map(|sitting| sitting.begun.clone());
    let written = || folder.join("config.toml").metadata().and_then(|data| data.modified()).ok().map(utc);
    first.or_else(written)
}

fn name(folder: &Path) -> String {
    let parts = folder.components().filter(|part| matches!(part, Component::Normal(_)));
    let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

/// A configuration as flat text.
fn settings(config: &RunConfig) -> Result<BTreeMap<String, String>> {
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("config.toml: {e}"));
    let table: toml::Table = config.to_toml()?.parse().map_err(|e: toml::de::Error| failed(&e))?;
    let mut flat = BTreeMap::new();
    let mut add = |key: String, value: &toml::Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), String::from);
        flat.insert(key, text);
    };
    for (key, value) in &table {
        match value {
            toml::Value::Table(inner) => inner.iter().for_each(|(k, value)| add(format!("{key}.{k}"), value)),
            value => add(key.clone(), value),
        }
    }
    Ok(flat)
}

/// The loss of each step; the first epoch tells how many steps one has.
fn curve(steps: &[Map<String, Value>], epochs: &[Map<String, Value>]) -> Series {
    let number = |line: &Map<String, Value>, key: &str| line.get(key).and_then(Value::as_f64);
    let per_epoch = epochs.first().and_then(|epoch| number(epoch, "step")).unwrap_or(steps.len() as f64).max(1.0);
    let mut series = Series::default();
    for line in steps {
        if let (Some(step), Some(loss)) = (number(line, "step"), number(line, "loss")) {
            series.push(step / per_epoch, loss);
        }
    }
    series
}

/// Refuses what is no plain file: a pipe would be waited for.
fn plain(path: &Path) -> Result<()> {
    match path.metadata() {
        Ok(found) if !found.is_file() => {
            Err(Error::input(format!("{}: found no plain file, expected one", path.display())))
        }
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<String> {
    plain(path)?;
    std::fs::read_to_string(path).map_err(|e| Error::input(format!("{}: {e}", path.display())))
}

fn malformed(path: &Path, line: usize, why: &dyn std::fmt::Display) -> Error {
    let line = if line > 0 { format!("line {line}: ") } else { String::new() };
    Error::input(format!("{}: {line}{why}", path.display()))
}

/// The lines of a file, one JSON object each. A last line without its end is one that was being written when the run was
/// stopped: it is left out.
fn lines(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let text = read(path)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |(n, line): (usize, &str)| serde_json::from_str(line).map_err(|e| malformed(path, n + 1, &e));
    whole.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        write("config.toml", "model = \"mnist-cnn\"\n[train]\nlr = 0.5\n");
        write("device.json", r#"{"device":{"name":"a device"},"reason":"it is there"}"#);
        write("metrics.jsonl", "{\"epoch\":1,\"step\":4,\"loss\":2.5}\n{\"epoch\":2,\"step\":8,\"loss\":1.5}\n{\"epo");
        write("steps.jsonl", "{\"step\":2,\"loss\":3.0}\n");
        folder
    }

    #[test]
    fn a_folder_is_read_back() {
        let folder = folder();
        let (record, config) = RunRecord::read(folder.path()).expect("a run");
        assert_eq!(config.train.lr, Some(0.5));
        assert_eq!((&record.settings["train.lr"][..], &record.settings["model"][..]), ("0.5", "mnist-cnn"));
        assert_eq!(record.device_name(), "a device");
        assert_eq!(record.epochs.len(), 2, "the line that was not finished is left out");
        assert_eq!(record.epochs[1]["loss"], 1.5);
        assert_eq!(record.steps.points(), [[0.5, 3.0]], "in epochs");
        assert_eq!(name(Path::new("/a/b/runs/mnist-cnn/3")), "mnist-cnn/3");
        assert_eq!(name(Path::new("/")), "");
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        for (file, text, expected) in [
            ("metrics.jsonl", "{\"epoch\":1}\n[2]\n", "metrics.jsonl: line 2: "),
            ("metrics.jsonl", "{\"epoch\":1}\n{\n{}\n", "metrics.jsonl: line 2: "),
            ("device.json", "{", "device.json: "),
            ("config.toml", "epochs = 3\n", "config.toml: line 1: "),
        ] {
            let folder = folder();
            std::fs::write(folder.path().join(file), text).expect("a file");
            let error = RunRecord::read(folder.path()).expect_err(file).to_string();
            assert!(error.contains(expected), "{error}");
            std::fs::remove_file(folder.path().join(file)).expect("the file was there");
            let error = RunRecord::read(folder.path()).expect_err(file).to_string();
            assert!(error.contains(file), "{error}");
        }
        assert!(RunRecord::read(Path::new("no/such/folder")).is_err());
    }
}
