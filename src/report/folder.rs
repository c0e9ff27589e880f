//! A run folder read back: its settings, its device, its curves, test metrics and times.

use crate::error::{Error, Result};
use crate::files::{self, read_text};
use crate::report::series::Series;
use crate::train::run::files::LARGEST_JSON_BYTES;
use crate::train::run::history::{History, Samples, utc};
use crate::train::run::{RunConfig, SAMPLES, TEST};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Component, Path};

/// The most bytes of a line of a log, which may have a generated text.
const LARGEST_LINE_BYTES: u64 = 16 << 20;

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
        if path.exists() {
            record.steps = curve(&path, &record.epochs)?;
        }
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
        let config = RunConfig::read(&folder.join("config.toml"))?;
        let epochs = lines(&folder.join("metrics.jsonl"), &["weights_sha256"])?;
        let device = folder.join("device.json");
        let text = read(&device)?;
        let device = sound_device(&text).map_err(|e| malformed(&device, 0, &e))?;
        let path = folder.join(TEST);
        let test = match path.exists() {
            true => {
                let test = serde_json::from_str(&read(&path)?).map_err(|e| malformed(&path, 0, &e))?;
                sound_line(&test, &[]).map_err(|e| malformed(&path, 0, &e))?;
                Some(test)
            }
            false => None,
        };
        let path = folder.join(SAMPLES);
        let texts = if path.exists() { lines(&path, &["text", "source", "reference"])? } else { Vec::new() };
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

/// The loss of each step, whose lines are read one by one: a long run has many. The first epoch tells how many steps one has.
fn curve(path: &Path, epochs: &[Map<String, Value>]) -> Result<Series> {
    let mut series = Series::default();
    let mut count = 0_u64;
    each_line(path, |line: Step| {
        count += 1;
        if let Step { step: Some(step), loss: Some(loss) } = line {
            series.push(step, loss);
        }
        Ok(())
    })?;
    let per_epoch = epochs.first().and_then(|epoch| epoch.get("step")).and_then(Value::as_f64);
    series.divide(per_epoch.unwrap_or(count as f64).max(1.0));
    Ok(series)
}

/// A line of `steps.jsonl`.
#[derive(Deserialize)]
struct Step {
    step: Option<f64>,
    loss: Option<f64>,
}

fn read(path: &Path) -> Result<String> {
    read_text(path, LARGEST_JSON_BYTES).map_err(|e| Error::input(format!("{}: {e}", path.display())))
}

fn malformed(path: &Path, line: usize, why: &dyn std::fmt::Display) -> Error {
    let line = if line > 0 { format!("line {line}: ") } else { String::new() };
    Error::input(format!("{}: {line}{why}", path.display()))
}

/// What the page reads of `device.json`.
#[derive(Deserialize)]
struct UsedDevice {
    // Their values are shown as they are.
    #[serde(rename = "device")]
    _device: BTreeMap<String, Value>,
    #[serde(rename = "reason", default)]
    _reason: String,
    #[serde(rename = "refused", default)]
    _refused: Vec<BTreeMap<String, String>>,
}

/// The content of `device.json`, where it is as the page expects it.
fn sound_device(text: &str) -> std::result::Result<Value, serde_json::Error> {
    let value: Value = serde_json::from_str(text)?;
    UsedDevice::deserialize(&value)?;
    Ok(value)
}

/// Whether a line has texts under these keys alone, and numbers or nothing under all others.
fn sound_line(line: &Map<String, Value>, texts: &[&str]) -> std::result::Result<(), String> {
    let fits = |(key, value): &(&String, &Value)| match texts.contains(&&***key) {
        true => value.is_string() || value.is_null(),
        false => value.is_number() || value.is_null(),
    };
    match line.iter().find(|field| !fits(field)) {
        None => Ok(()),
        Some((key, _)) if texts.contains(&&**key) => Err(format!("expected a text under {}", key.escape_debug())),
        Some((key, _)) => Err(format!("expected a number under {}", key.escape_debug())),
    }
}

/// The lines of a file, one JSON object each, with texts under these keys and numbers under others.
fn lines(path: &Path, texts: &[&str]) -> Result<Vec<Map<String, Value>>> {
    let mut all = Vec::new();
    each_line(path, |line: Map<String, Value>| {
        sound_line(&line, texts).map_err(|why| malformed(path, all.len() + 1, &why))?;
        all.push(line);
        Ok(())
    })?;
    Ok(all)
}

/// Reads a file line by line, one JSON object each. A last line without its end is one that was being written when the run was
/// stopped: it is left out.
fn each_line<L: DeserializeOwned>(path: &Path, mut take: impl FnMut(L) -> Result<()>) -> Result<()> {
    let unreadable = |e: std::io::Error| Error::input(format!("{}: {e}", path.display()));
    let mut file = BufReader::new(files::open(path).map_err(unreadable)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        (&mut file).take(LARGEST_LINE_BYTES).read_until(b'\n', &mut line).map_err(unreadable)?;
        if line.len() as u64 == LARGEST_LINE_BYTES {
            return Err(malformed(path, number, &format!("found more than {LARGEST_LINE_BYTES} bytes in a line")));
        }
        match line.strip_suffix(b"\n") {
            None => break,
            Some(b"") => {}
            Some(text) => take(serde_json::from_slice(text).map_err(|e| malformed(path, number, &e))?)?,
        }
    }
    Ok(())
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
