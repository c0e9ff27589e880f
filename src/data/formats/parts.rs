//! The names of the parts of a data set: training, validation and test.

#[cfg(feature = "images")]
use crate::data::source::file_name;
use std::fs;
use std::path::{Path, PathBuf};

/// The names of the part that is trained on, the most likely first.
pub(in crate::data) const TRAIN: &[&str] = &["train", "training", "training_set", "train_set"];
/// The names of the part that every epoch is validated on.
pub(in crate::data) const VALIDATION: &[&str] = &["val", "valid", "validation", "validation_set", "val_set", "dev"];
/// The names of the part that is tested on at the end.
pub(in crate::data) const TEST: &[&str] = &["test", "testing", "test_set"];

/// The first of these folders that has one of the names, whatever its capitals.
#[cfg(feature = "images")]
pub(super) fn named<'a>(folders: &'a [PathBuf], names: &[&str]) -> Option<&'a PathBuf> {
    names.iter().find_map(|name| folders.iter().find(|folder| file_name(folder).eq_ignore_ascii_case(name)))
}

/// Whether a folder of this name is a part.
pub(super) fn is_part(name: &str) -> bool {
    [TRAIN, VALIDATION, TEST].iter().any(|names| names.iter().any(|part| part.eq_ignore_ascii_case(name)))
}

/// Whether a name, such as `x_val.npy`, is that of one of these parts.
fn is_of(name: &str, names: &[&str]) -> bool {
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    let whole = std::iter::once(stem);
    let mut words = whole.chain(stem.split(|c: char| !c.is_alphanumeric()));
    words.any(|word| names.iter().any(|part| part.eq_ignore_ascii_case(word)))
}

/// The names of what is in a folder, sorted; none if it cannot be read.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The file of a part in a folder, such as `val.csv`, with this ending.
pub(in crate::data) fn file(folder: &Path, part: &[&str], ending: &str) -> Option<PathBuf> {
    let fits = |name: &String| {
        let end = name.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case(ending));
        end && is_of(name, part) && folder.join(name).is_file()
    };
    names(folder).iter().find(|name| fits(name)).map(|name| folder.join(name))
}

/// Whether a folder has a part to validate on and none to test on.
pub(in crate::data) fn has_no_tests(folder: &Path) -> bool {
    let has = |part: &[&str]| names(folder).iter().any(|name| is_of(name, part));
    has(VALIDATION) && !has(TEST)
}
