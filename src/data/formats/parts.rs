//! The names of the parts of a data set: training, validation and test.

use crate::data::source::file_name;
use std::path::PathBuf;

/// The names of the part that is trained on, the most likely first.
pub(super) const TRAIN: &[&str] = &["train", "training", "training_set", "train_set"];
/// The names of the part that every epoch is validated on.
pub(super) const VALIDATION: &[&str] = &["val", "valid", "validation", "validation_set", "val_set", "dev"];
/// The names of the part that is tested on at the end.
pub(super) const TEST: &[&str] = &["test", "testing", "test_set"];

/// The first of these folders that has one of the names, whatever its capitals.
pub(super) fn named<'a>(folders: &'a [PathBuf], names: &[&str]) -> Option<&'a PathBuf> {
    names.iter().find_map(|name| folders.iter().find(|folder| file_name(folder).eq_ignore_ascii_case(name)))
}

/// Whether a folder of this name is a part.
pub(super) fn is_part(name: &str) -> bool {
    [TRAIN, VALIDATION, TEST].iter().any(|names| names.iter().any(|part| part.eq_ignore_ascii_case(name)))
}
