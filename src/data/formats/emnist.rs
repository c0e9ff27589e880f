//! EMNIST's IDX files: unlike in MNIST's, rows and columns are swapped, and labels stand for letters.
//!
//! Cohen, Afshar, Tapson and van Schaik, "EMNIST: an extension of MNIST to handwritten letters", 2017.

use crate::data::formats::idx::Files;
use crate::data::schema::{IMAGE, LABEL};
use crate::data::source::{Source, file_name};
use crate::data::{Column, Dataset};
use crate::error::{Error, Result};
use std::path::Path;

/// The prefix of the names of EMNIST's files.
const PREFIX: &str = "emnist-";
/// The most bytes of a file that says what labels stand for.
const MAPPING_BYTES: u64 = 1 << 16;

/// Turns the images of a set whose files' names begin with `emnist-`, counts classes from 0, names them, and says so.
///
/// # Errors
/// [`Error::Input`] if `emnist-*-mapping.txt` is there and malformed, or does not know a label.
pub(in crate::data) fn adjust(files: &Files, data: &mut Dataset) -> Result<()> {
    let name = file_name(&files.train_images);
    let lower = name.to_lowercase();
    if !lower.starts_with(PREFIX) || !file_name(&files.test_images).to_lowercase().starts_with(PREFIX) {
        return Ok(());
    }
    let splits = [&mut data.train, &mut data.test];
    splits.into_iter().filter_map(|split| split.column_mut(IMAGE)).for_each(Column::turn);
    let mut said = vec!["EMNIST's images are transposed: rows and columns were swapped".to_owned()];
    let labels = || data.train.each_label().chain(data.test.each_label());
    let (least, most) = (labels().min().unwrap_or(0), labels().max().unwrap_or(0));
    // Only the split of letters has labels from 1: without the shift there is a class that never occurs.
    let shift = lower.starts_with("emnist-letters") && least >= 1;
    let stem = lower.find("-train").map_or("", |at| name.get(..at).unwrap_or(""));
    let path = files.train_images.with_file_name(format!("{stem}-mapping.txt"));
    let names = match (path.is_file(), shift) {
        (true, _) => Some(mapping(&path)?),
        (false, true) if most <= 26 => {
            Some((1..=26u8).map(|n| (n.into(), char::from(b'A' + n - 1).to_string())).collect())
        }
        _ => None,
    };
    if let Some(names) = names {
        let first = u32::from(shift);
        let last = names.iter().map(|(label, _)| *label).max().unwrap_or(0).max(most);
        let name = |label: u32| {
            let found = names.iter().find(|(known, _)| *known == label).map(|(_, name)| name.clone());
            found.ok_or_else(|| {
                Error::input(format!("{}: found no line for label {label}, expected one", path.display()))
            })
        };
        data.class_names = (first..=last).map(name).collect::<Result<_>>()?;
        data.classes = data.class_names.len();
    } else if shift {
        data.class_names.remove(0);
        data.classes = data.class_names.len();
    }
    if shift {
        let splits = [&mut data.train, &mut data.test];
        splits.into_iter().filter_map(|split| split.column_mut(LABEL)).for_each(Column::lower_labels);
        said.push("the letters' labels begin at 1: they are counted from 0, A is class 0".to_owned());
    }
    data.notice = Some(said.join("; "));
    Ok(())
}

/// Lines of a label and the codes of the characters that it stands for, of which the first is its name.
pub fn mapping(path: &Path) -> Result<Vec<(u32, String)>> {
    let shown = path.display();
    let bytes = Source::open(path)?.take(MAPPING_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut found: Vec<(u32, String)> = Vec::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut words = line.split_whitespace().map(str::parse::<u8>);
        let named = match (words.next(), words.next()) {
            (Some(Ok(label)), Some(Ok(code))) if code.is_ascii_graphic() => {
                Some((u32::from(label), char::from(code).to_string()))
            }
            _ => None,
        };
        match named.filter(|(label, _)| found.iter().all(|(known, _)| known != label)) {
            Some(named) => found.push(named),
            None => {
                let line: String = line.chars().take(20).collect();
                let wanted = "expected a new label and the ASCII code of its character";
                return Err(Error::input(format!("{shown}, line {}: found '{line}', {wanted}", n + 1)));
            }
        }
    }
    Ok(found)
}
