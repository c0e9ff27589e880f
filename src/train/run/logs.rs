//! The logs that a run writes line by line: `metrics.jsonl`, `metrics.csv`, `steps.jsonl` and TensorBoard's events.

use crate::error::Result;
use crate::train::epochs::engine::Record;
use crate::train::epochs::progress::{Metrics, Progress};
use crate::train::epochs::trainer::Sample;
#[cfg(feature = "cli")]
use crate::train::run::events::{Events, Scalars};
use crate::train::run::files::{LARGEST_LOG_BYTES, append, bring_to, fault, regular};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Texts that the model generates after each epoch: one that continues, or several translations.
pub const SAMPLES: &str = "samples.jsonl";

/// The most bytes of a line of `steps.jsonl`.
const LARGEST_LINE_BYTES: u64 = 1 << 10;

/// The open files.
#[derive(Debug)]
pub struct Logs {
    folder: PathBuf,
    metrics: File,
    csv: File,
    steps: Option<File>,
    #[cfg(feature = "cli")]
    events: Events,
}

impl Logs {
    /// Brings the files to what a run has written that has come so far, and opens them; also says what cannot be
    /// brought back.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if a file cannot be written.
    pub fn bring_to(folder: &Path, progress: &Progress, log_steps: bool) -> Result<(Logs, Option<String>)> {
        let (mut lines, mut rows) = (String::new(), String::new());
        for metrics in &progress.metrics {
            let line = line(folder, metrics)?;
            rows += &row(folder, &line, rows.is_empty())?;
            lines += &line;
        }
        let paths = ["metrics.jsonl", "metrics.csv"].map(|name| folder.join(name));
        bring_to(&paths[0], lines.as_bytes())?;
        bring_to(&paths[1], rows.as_bytes())?;
        cut_samples(&folder.join(SAMPLES), &progress.metrics)?;
        let mut notice = None;
        let steps = match log_steps {
            false => None,
            true => {
                let path = folder.join("steps.jsonl");
                let kept = cut_steps(&path, progress.step)?;
                if kept < progress.step {
                    let (first, last) = (kept + 1, progress.step);
                    notice = Some(format!("{}: steps {first} to {last} are missing", path.display()));
                }
                Some(append(&path)?)
            }
        };
        #[cfg(feature = "cli")]
        let events = {
            let points: Result<Vec<Scalars>> = progress.metrics.iter().map(|m| scalars(folder, m)).collect();
            Events::bring_to(folder, &points?)?
        };
        let logs = Logs {
            folder: folder.into(),
            metrics: append(&paths[0])?,
            csv: append(&paths[1])?,
            steps,
            #[cfg(feature = "cli")]
            events,
        };
        Ok((logs, notice))
    }

    /// Adds an epoch.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if a file cannot be written.
    pub fn epoch(&mut self, metrics: &Metrics) -> Result<()> {
        let line = line(&self.folder, metrics)?;
        let row = row(&self.folder, &line, metrics.epoch == 1)?;
        write(&mut self.metrics, &self.folder, "metrics.jsonl", &line)?;
        write(&mut self.csv, &self.folder, "metrics.csv", &row)?;
        #[cfg(feature = "cli")]
        self.events.add(&scalars(&self.folder, metrics)?)?;
        Ok(())
    }

    /// Adds a text generated after an epoch, for a model that continues texts or translates.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if it cannot be written.
    pub fn sample(&mut self, epoch: usize, step: u64, sample: &Sample) -> Result<()> {
        let line = sample.to_json(epoch, step);
        let mut file = append(&self.folder.join(SAMPLES))?;
        write(&mut file, &self.folder, SAMPLES, &format!("{line}\n"))
    }

    /// Adds steps to `steps.jsonl`, where it is kept.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if it cannot be written.
    pub fn steps(&mut self, first: u64, records: &[Record]) -> Result<()> {
        let Some(file) = &mut self.steps else { return Ok(()) };
        let mut lines = String::new();
        for (step, record) in (first..).zip(records) {
            let line = serde_json::json!({ "step": step, "loss": record.loss });
            lines += &format!("{line}\n");
        }
        write(file, &self.folder, "steps.jsonl", &lines)
    }

    /// Sees to it that what a checkpoint cannot bring back is on the disk.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if the disk fails.
    pub fn sync(&self) -> Result<()> {
        match &self.steps {
            Some(file) => file.sync_data().map_err(|e| fault(&self.folder.join("steps.jsonl"), &e)),
            None => Ok(()),
        }
    }
}

fn write(file: &mut File, folder: &Path, name: &str, text: &str) -> Result<()> {
    file.write_all(text.as_bytes()).map_err(|e| fault(&folder.join(name), &e))
}

/// A line of `metrics.jsonl`, from which all else is made.
fn line(folder: &Path, metrics: &Metrics) -> Result<String> {
    let line = serde_json::to_string(metrics).map_err(|e| fault(&folder.join("metrics.jsonl"), &e))?;
    Ok(line + "\n")
}

/// The same as a row of `metrics.csv`, with the header before the first.
fn row(folder: &Path, line: &str, first: bool) -> Result<String> {
    let fields = fields(folder, line)?;
    let header: Vec<&str> = fields.iter().map(|(key, _)| key.as_str()).collect();
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let cells: Vec<String> = fields.iter().map(|(_, value)| cell(value)).collect();
    let header = if first { header.join(",") + "\n" } else { String::new() };
    Ok(header + &cells.join(",") + "\n")
}

/// The same as a point of every curve: keys are tags.
#[cfg(feature = "cli")]
fn scalars(folder: &Path, metrics: &Metrics) -> Result<Scalars> {
    let fields = fields(folder, &line(folder, metrics)?)?.into_iter();
    let values = fields.filter_map(|(key, value)| Some((key, value.as_f64()?))).collect();
    Ok(Scalars { step: metrics.step, values })
}

/// The keys and values of a line, in its order.
fn fields(folder: &Path, line: &str) -> Result<Vec<(String, Value)>> {
    struct Fields(Vec<(String, Value)>);
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = Fields;

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
            let mut fields = Vec::new();
            while let Some(field) = map.next_entry()? {
                fields.push(field);
            }
            Ok(Fields(fields))
        }
    }
    impl<'de> Deserialize<'de> for Fields {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(InOrder)
        }
    }
    let Fields(fields) = serde_json::from_str(line).map_err(|e| fault(&folder.join("metrics.jsonl"), &e))?;
    Ok(fields)
}

/// Cuts `samples.jsonl` before the first line of an epoch that is not whole, where there is such a file.
fn cut_samples(path: &Path, epochs: &[Metrics]) -> Result<()> {
    let text = match crate::files::read_text(path, LARGEST_LOG_BYTES) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        read => read.map_err(|e| fault(path, &e))?,
    };
    let is_done = |line: &&str| {
        let value: Option<Value> = serde_json::from_str(line).ok();
        let step = value.and_then(|value| value["step"].as_u64());
        step.is_some_and(|step| epochs.iter().any(|epoch| epoch.step == step))
    };
    let kept: String = text.lines().take_while(is_done).map(|line| format!("{line}\n")).collect();
    bring_to(path, kept.as_bytes()).map(drop)
}

/// Truncates `steps.jsonl` after the line of a step, or before the first partial line; returns the step of the last
/// line that remains.
fn cut_steps(path: &Path, last: u64) -> Result<u64> {
    regular(path)?;
    let file = match File::options().read(true).write(true).open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(0),
        opened => opened.map_err(|e| fault(path, &e))?,
    };
    let mut reader = BufReader::new(&file);
    let (mut kept, mut bytes, mut line) = (0, 0, String::new());
    // A line of ours is short, whatever the file holds.
    while (&mut reader).take(LARGEST_LINE_BYTES).read_line(&mut line).is_ok_and(|length| length > 0) {
        let value: Option<Value> = serde_json::from_str(&line).ok();
        let step = value.and_then(|value| value["step"].as_u64());
        let Some(step) = step.filter(|step| *step == kept + 1 && *step <= last && line.ends_with('\n')) else { break };
        (kept, bytes) = (step, bytes + line.len() as u64);
        line.clear();
    }
    file.set_len(bytes).map_err(|e| fault(path, &e))?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_after_a_step_and_partial_lines_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.jsonl");
        assert_eq!(cut_steps(&path, 5).unwrap(), 0);
        let line = |step: u64| format!("{{\"loss\":0.5,\"step\":{step}}}\n");
        let whole: String = (1..=9).map(line).collect();
        for (text, last, kept) in [
            (whole.clone(), 9, 9),
            (whole.clone(), 4, 4),
            (whole.clone(), 0, 0),
            (whole.clone(), 20, 9),
            (whole[..whole.len() - 1].into(), 9, 8),
            (whole.replace("\"step\":3", "\"stop\":3"), 9, 2),
            (whole.replace("\"step\":3", "\"step\":4"), 9, 2),
            ("\u{0}\u{0}".into(), 9, 0),
        ] {
            std::fs::write(&path, &text).unwrap();
            assert_eq!(cut_steps(&path, last).unwrap(), kept, "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), (1..=kept).map(line).collect::<String>());
        }
    }
}
