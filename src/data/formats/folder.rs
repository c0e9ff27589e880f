//! Folders of images, one folder per class: the part and the class of each file.

use crate::counted::counted;
use crate::data::formats::Format;
use crate::data::formats::held_out::HELD_OUT;
use crate::data::formats::labelled::{Item, Labelled};
use crate::data::formats::missing::{IMAGES, has_folders};
use crate::data::formats::parts::{TEST, TRAIN, VALIDATION, named};
use crate::data::formats::pictures::{entries, files_under, folders};
use crate::data::source::file_name;
use crate::data::{Dataset, MOST_CLASSES, ReadOptions};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use unicode_normalization::UnicodeNormalization;

/// The format's line in the registry.
pub(super) const FORMAT: Format = Format { name: IMAGES.0, by: IMAGES.1, recognise: has_folders, read };

/// Reads `folder`: `train` and `test` (or `val`, or all three) with a folder for each class in each, or folders of classes alone, of
/// each of which a fifth of the images, picked by their names, becomes the test set. Images become RGB of one size, or grey
/// where all of them are.
///
/// # Errors
/// [`Error::Input`] for fewer than two or more than [`MOST_CLASSES`] classes, images of different sizes if none is requested, no
/// usable image in a part, and where the options are strict, any file that is no readable image.
pub(in crate::data) fn read(folder: &Path, options: &ReadOptions) -> Result<Dataset> {
    let shown = folder.display();
    let parts = folders(folder)?;
    let find = |names: &[&str]| named(&parts, names);
    let (train_root, validation_root, test_root) = match (find(TRAIN), find(VALIDATION), find(TEST)) {
        (None, None, Some(test)) if options.tests_alone => (test.as_path(), None, None),
        (None, Some(other), _) | (None, None, Some(other)) => {
            let found = file_name(other);
            return Err(Error::input(format!("data folder {shown}: found {found}, expected train beside it")));
        }
        // Without tests the validation images are what is tested on.
        (train, validation, None) => (train.map_or(folder, |train| train), None, validation),
        (train, validation, test) => (train.map_or(folder, |train| train), validation, test),
    };
    let found = folders(train_root)?;
    let classes: Vec<String> = found.iter().map(|class| class_name(class)).collect();
    // Tests may lack some of the classes that are known.
    let are_known = options.tests_alone && classes.iter().all(|class| options.class_names.contains(class));
    let classes = if are_known && !classes.is_empty() { options.class_names.to_vec() } else { classes };
    if !(2..=MOST_CLASSES).contains(&classes.len()) {
        #[cfg(feature = "csv")]
        if let Some(data) = crate::data::formats::csv::listed(folder, options)? {
            return Ok(data);
        }
        let count = found.len();
        let inner =
            found.first().filter(|_| count == 1).filter(|inner| folders(inner).is_ok_and(|more| more.len() > 1));
        let hint = inner.map(|inner| format!("; --data {} has them", inner.display()));
        let hint = hint.or_else(|| list_beside(folder)).unwrap_or_default();
        if let ([only], "") = (&found[..], &*hint) {
            let (root, only) = (train_root.display(), file_name(only));
            return Err(Error::input(format!(
                "data folder {root}: found one class, {only}, expected a folder for each of 2 to {MOST_CLASSES} classes: a classifier \
                 needs at least two; add a folder of other images"
            )));
        }
        return Err(Error::input(format!(
            "data folder {}: found {}, expected one for each of 2 to {MOST_CLASSES} classes{hint}",
            train_root.display(),
            counted(count, "folder")
        )));
    }
    let mut notices = Vec::new();
    let train = items(train_root, &classes)?;
    let test = test_root.map(|root| items(root, &classes)).transpose()?;
    let validation = validation_root.map(|root| Ok((file_name(root), items(root, &classes)?))).transpose()?;
    if test.is_none() && !(options.tests_alone || options.train_alone) {
        notices
            .push(format!("{shown} has no test folder: one image in {HELD_OUT} of each class is held out for testing"));
    }
    if validation.is_some() {
        notices.push(format!(
            "{shown}: each epoch is validated on the validation folder; the test folder is used once, at the end"
        ));
    }
    let (name, place) = (file_name(folder), format!("data folder {shown}"));
    Labelled { name, place, root: folder, classes, train, validation, test, bad: Vec::new(), notices }.read(options)
}

/// A class by its folder's name, in one of the forms that Unicode has for it (NFC): systems differ in how they write é.
fn class_name(folder: &Path) -> String {
    file_name(folder).nfc().collect()
}

/// The files of every class, class by class, those in folders of a class's folder included.
fn items(root: &Path, classes: &[String]) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for folder in folders(root)? {
        let Some(label) = classes.iter().position(|class| *class == class_name(&folder)) else {
            return Err(Error::input(format!(
                "{}: found a class that the training images do not have, expected {}",
                folder.display(),
                classes.join(", ")
            )));
        };
        items.extend(files_under(&folder)?.into_iter().map(|path| Item { path, label: label as u16 }));
    }
    Ok(items)
}

/// The line for a folder that has a CSV file beside its pictures.
fn list_beside(folder: &Path) -> Option<String> {
    let found = entries(folder).ok()?;
    let is_csv = |path: &PathBuf| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    let files = found.iter().map(std::fs::DirEntry::path).filter(|path| path.is_file() && is_csv(path));
    // Lists of tests may have no labels.
    let list = files.min_by_key(|path| ["test", "sample"].iter().any(|part| file_name(path).contains(part)))?;
    Some(format!("; --data {} reads a list of files with their labels", list.display()))
}
