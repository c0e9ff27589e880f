//! `run.json`: when a run was started and ended, its command, the number of samples, and how it ended.

use crate::data::Split;
use crate::data::column::crc32;
use crate::error::{Error, Result};
use crate::train::run::files::LARGEST_JSON_BYTES;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The file's name in a run folder.
pub const HISTORY: &str = "run.json";

/// The history of a run in its folder, besides settings and metrics. A run that was resumed has several sittings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The samples of each set.
    pub samples: Samples,
    /// Where the data was when the run began, absolute; none of the built-in set, and of an older wgrad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// CRC-32 of the samples that the trained model is measured on, those of the test set or of data without one those to
    /// validate on; none of an older wgrad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_crc32: Option<u32>,
    /// The run's sittings, in their order.
    pub sittings: Vec<Sitting>,
}

/// How many samples a run has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    /// Those that are trained on.
    pub train: usize,
    /// Those that every epoch is validated on; `None` if that is the test set.
    pub validation: Option<usize>,
    /// The test set; 0 if the data has none.
    pub test: usize,
}

impl Samples {
    /// Whether epochs are validated on other samples than those of the test set, which is measured once, at the end.
    pub fn are_tested_apart(&self) -> bool {
        self.validation.is_some() && self.test > 0
    }
}

/// One process that trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sitting {
    /// When it began, in UTC, such as `2025-03-01T12:30:00Z`.
    pub begun: String,
    /// The command line.
    pub command: String,
    /// Seconds of training, validation and checkpoints; of a process that was killed, those up to its last checkpoint.
    pub seconds: f64,
    /// How it ended; none while it is running, and if the process was killed.
    pub end: Option<End>,
}

/// How a sitting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// All steps are done.
    Finished,
    /// It was stopped and can be resumed.
    Stopped,
    /// The device or the disk failed.
    Failed,
}

impl History {
    /// Reads the file of a run folder; `None` if there is none, as in folders of an older wgrad.
    ///
    /// # Errors
    /// [`Error::Input`] that names the file, where it cannot be read or is malformed.
    pub fn read(run: &Path) -> Result<Option<History>> {
        let path = run.join(HISTORY);
        let fault = |e: &dyn std::fmt::Display| Error::input(format!("{}: {e}", path.display()));
        if !path.exists() {
            return Ok(None);
        }
        let text = crate::files::read_text(&path, LARGEST_JSON_BYTES).map_err(|e| fault(&e))?;
        serde_json::from_str(&text).map(Some).map_err(|e| fault(&e))
    }

    /// Why data is not what the run's model was measured on; none where it is, and of an older wgrad.
    ///
    /// # Errors
    /// [`Error::Input`] if samples are in a file that cannot be read any more.
    pub fn change_of(&self, measured: &Split) -> Result<Option<String>> {
        let Some(expected) = self.measured_crc32 else { return Ok(None) };
        let found = crc32(measured.columns())?;
        let why =
            || format!("the samples to evaluate have changed since the run: CRC-32 {found:08x}, not {expected:08x}");
        Ok((found != expected).then(why))
    }

    /// Seconds of all sittings together.
    pub fn seconds(&self) -> f64 {
        self.sittings.iter().map(|sitting| sitting.seconds).sum()
    }

    /// A sitting begins now, by the command line of this process.
    pub(super) fn begin(&mut self, samples: Samples, data: Option<String>, measured_crc32: u32) {
        let mut words = std::env::args_os();
        let program = words.next().unwrap_or_default();
        let program = Path::new(&program).file_stem().map_or(program.clone(), Into::into);
        let command = std::iter::once(program).chain(words).map(quoted).collect::<Vec<_>>().join(" ");
        (self.samples, self.data, self.measured_crc32) = (samples, data, Some(measured_crc32));
        self.sittings.push(Sitting { begun: utc(SystemTime::now()), command, seconds: 0.0, end: None });
    }
}

/// A word as a shell takes it.
pub fn quoted(word: impl AsRef<OsStr>) -> String {
    // A shell takes a backslash for an escape, but on Windows it separates folders.
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:=,+@%".contains(&byte) || cfg!(windows) && byte == b'\\';
    let word = word.as_ref();
    match word.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(plain) => text.to_owned(),
        Some(text) if !text.contains(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        // Bytes that are no text, or that a terminal obeys, as bash and zsh write them.
        _ => {
            let escaped = word.as_encoded_bytes().escape_ascii().to_string();
            format!("$'{}'", escaped.replace("\\\"", "\""))
        }
    }
}

/// A time in UTC as RFC 3339 has it, in whole seconds; times before 1970 are its beginning.
///
/// Source: the calendar in H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
pub fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of the year 0, in eras of 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_210_096, "2024-02-29T12:34:56Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_file_that_is_malformed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(History::read(folder.path()).unwrap(), None);
        for text in ["", "{", "[]", "{\"samples\":3}", "{\"samples\":{\"train\":-1,\"test\":2},\"sittings\":[]}"] {
            std::fs::write(folder.path().join(HISTORY), text).unwrap();
            assert!(History::read(folder.path()).unwrap_err().to_string().contains(HISTORY), "{text}");
        }
        let mut history = History::default();
        history.begin(Samples { train: 3, validation: None, test: 2 }, Some("/d".into()), 7);
        std::fs::write(folder.path().join(HISTORY), serde_json::to_string(&history).unwrap()).unwrap();
        assert_eq!(History::read(folder.path()).unwrap(), Some(history));
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_part_them() {
        for (word, text) in
            [("--lr=0.1,0.2", "--lr=0.1,0.2"), ("my run", "'my run'"), ("it's", r"'it'\''s'"), ("", "''")]
        {
            assert_eq!(quoted(word), text);
        }
    }
}
