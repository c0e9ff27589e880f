//! `classes.txt`: the names of the classes, one per line, optional beside arrays and masks.

use crate::data::source::Source;
use crate::error::{Error, Result};
use std::path::Path;

/// The file's name.
pub const CLASSES: &str = "classes.txt";

/// The most bytes that it may have.
const LARGEST_NAMES_BYTES: u64 = 1 << 22;

/// The names in the file, one per line, if there is such a file.
///
/// # Errors
/// [`Error::Input`] if it cannot be read, is not a text, and for a line without a name.
pub(super) fn listed(path: &Path) -> Result<Option<Vec<String>>> {
    if !path.exists() {
        return Ok(None);
    }
    let shown = path.display();
    let mut source = Source::open(path)?;
    let text = source.take(LARGEST_NAMES_BYTES + 1)?;
    if text.len() as u64 > LARGEST_NAMES_BYTES {
        return Err(Error::input(format!(
            "{shown}: found more than {LARGEST_NAMES_BYTES} bytes, expected names of classes"
        )));
    }
    let text = std::str::from_utf8(&text).map_err(|e| Error::input(format!("{shown}: {e}")))?;
    // Editors on Windows begin a text with a mark that is no part of the first name.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    if let Some(line) = names.iter().position(|name| name.is_empty() || name.contains(char::is_control)) {
        return Err(Error::input(format!("{shown}, line {}: found no name, expected one per line", line + 1)));
    }
    Ok(Some(names))
}

/// The names in the file if there is one, which must be `classes` to `most`.
///
/// # Errors
/// As [`listed`], and for another number of names.
pub(super) fn class_names(path: &Path, classes: usize, most: usize) -> Result<Option<Vec<String>>> {
    match listed(path)? {
        Some(names) if !(classes..=most).contains(&names.len()) => Err(Error::input(format!(
            "{}: found {} names, expected {classes} to {most}, one for each class",
            path.display(),
            names.len()
        ))),
        names => Ok(names),
    }
}
