//! Folders of images, one folder a class: read in parallel, brought to one size, some kept for tests.

use crate::data::formats::Format;
use crate::data::formats::held_out::{HELD_OUT, held_out};
use crate::data::formats::missing::{IMAGES, has_folders};
use crate::data::formats::parts::{TEST, TRAIN, VALIDATION, named};
use crate::data::formats::pictures::{CHANNELS, channels, common_size, entries, folders, left_out};
use crate::data::pictures::picture::Picture;
use crate::data::pictures::prepare::fitted;
use crate::data::source::file_name;
use crate::data::split::Labels;
use crate::data::{Dataset, Fit, MOST_CLASSES, ReadOptions, Split};
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use unicode_normalization::UnicodeNormalization;

/// The format's line in the registry.
pub(super) const FORMAT: Format = Format { name: IMAGES.0, by: IMAGES.1, recognise: has_folders, read };

/// A file and its class.
#[derive(Clone)]
struct Item {
    path: PathBuf,
    label: u16,
}

/// Reads `folder`: `train` and `test` (or `val`, or all three) with a folder for each class in each, or folders of classes alone, of
/// each of which a fifth of the images, picked by their names, becomes the test set. Images become RGB of one size, or grey
/// where all of them are.
///
/// # Errors
/// [`Error::Input`] for fewer than two or more than [`MOST_CLASSES`] classes, images of different sizes where none is asked for, no
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
    if !(2..=MOST_CLASSES).contains(&found.len()) {
        let count = found.len();
        let inner =
            found.first().filter(|_| count == 1).filter(|inner| folders(inner).is_ok_and(|more| more.len() > 1));
        let hint = inner.map_or_else(String::new, |inner| format!("; --data {} has them", inner.display()));
        return Err(Error::input(format!(
            "data folder {}: found {count} folders, expected one for each of 2 to {MOST_CLASSES} classes{hint}",
            train_root.display()
        )));
    }
    let classes: Vec<String> = found.iter().map(|class| class_name(class)).collect();
    let mut notices = Vec::new();
    let validation = validation_root.map(|root| items(root, &classes)).transpose()?.unwrap_or_default();
    let (train, test) = match test_root {
        Some(test) => (items(train_root, &classes)?, items(test, &classes)?),
        None if options.tests_alone => {
            notices.push(format!("{shown} has no part for tests of its own: all of it is evaluated"));
            let all = items(train_root, &classes)?;
            // What a data set has to have, but no one asks for: one of each class.
            let first = (0..classes.len()).filter_map(|class| all.iter().find(|item| usize::from(item.label) == class));
            (first.cloned().collect(), all)
        }
        None => {
            notices
                .push(format!("{shown} has no test folder: one image in {HELD_OUT} of each class is kept for tests"));
            hold_out(items(train_root, &classes)?)
        }
    };
    if let Some(class) = (0..classes.len()).find(|&class| train.iter().all(|item| usize::from(item.label) != class)) {
        return Err(Error::input(format!("data folder {shown}: class {} has no images to train on", classes[class])));
    }
    if test.is_empty() {
        let why = "each class has one image, expected two of a class, to keep one for tests";
        return Err(Error::input(format!("data folder {shown}: {why}")));
    }
    let mut bad = Vec::new();
    let size = match options.size {
        Some(size) => size,
        None => common_size(folder, train.iter().chain(&validation).chain(&test).map(|item| &*item.path))?,
    };
    let done = AtomicUsize::new(0);
    let all = train.len() + validation.len() + test.len();
    let tell = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        options.progress.iter().for_each(|progress| progress(done, all));
    };
    let room = (all as u64).saturating_mul((size[0] as u64).saturating_mul(size[1] as u64)).saturating_mul(3);
    let what = format!("data folder {shown}: {all} images of {}×{} take", size[1], size[0]);
    crate::device::cpu::check_free(room, &what, "a smaller image size may fit")?;
    let mut deep = Vec::new();
    let mut parts =
        [train, validation, test].map(|items| decode(&items, folder, (size, options.fit), &mut bad, &mut deep, &tell));
    let mut pixels: Vec<&mut Vec<u8>> = parts.iter_mut().map(|part| &mut part.pixels).collect();
    let channels = channels(&mut pixels, options.channels)?;
    let [train, validation, test] = parts;
    let split = |part: &str, Decoded { pixels, labels, names }| {
        let shape = [size[0], size[1], channels];
        Split::narrow(shape, pixels, Labels::narrow(labels), &[])
            .and_then(|split| split.named(names))
            .map_err(|e| Error::input(format!("data folder {shown}, {part}: {e}")))
    };
    let (train, test) = (split("train", train), split("test", test));
    let validation = validation_root.map(|root| split(&file_name(root), validation)).transpose()?;
    notices.extend(left_out(&bad, &deep, all, options.strict)?);
    let mut data = Dataset::new(file_name(folder), train?, test?)?;
    if validation_root.is_some() {
        notices.push(format!(
            "{shown}: every epoch is validated on its own folder; the test folder is asked once, at the end"
        ));
    }
    data.validation = validation;
    (data.classes, data.class_names) = (classes.len(), classes);
    data.prepare = options.fit.into();
    data.notice = (!notices.is_empty()).then(|| notices.join("\nnote: "));
    Ok(data)
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
        let mut open = vec![folder];
        while let Some(folder) = open.pop() {
            for entry in entries(&folder)? {
                // A link to a folder is not followed: it may lead round in a circle.
                match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    true => open.push(entry.path()),
                    false => items.push(Item { path: entry.path(), label: label as u16 }),
                }
            }
        }
    }
    Ok(items)
}

/// Parts each class's files in two. Which go where hangs on their names alone.
fn hold_out(mut items: Vec<Item>) -> (Vec<Item>, Vec<Item>) {
    items.sort_by(|a, b| (a.label, &a.path).cmp(&(b.label, &b.path)));
    let labels: Vec<u16> = items.iter().map(|item| item.label).collect();
    let key = |n: usize| (crc32fast::hash(file_name(&items[n].path).as_bytes()), items[n].path.clone());
    let kept = held_out(&labels, key);
    let (test, train): (Vec<_>, Vec<_>) = items.into_iter().zip(kept).partition(|(_, kept)| *kept);
    let only = |items: Vec<(Item, bool)>| items.into_iter().map(|(item, _)| item).collect();
    (only(train), only(test))
}

/// The images of a part that can be read.
#[derive(Default)]
struct Decoded {
    pixels: Vec<u8>,
    labels: Vec<u16>,
    /// Their files, from the data folder on.
    names: Vec<String>,
}

/// All that can be read; why the others cannot goes to `bad`, the largest value of those that had more
/// than 8 bits a channel to `deep`.
fn decode(
    items: &[Item],
    root: &Path,
    ([height, width], fit): ([usize; 2], Fit),
    bad: &mut Vec<String>,
    deep: &mut Vec<u16>,
    tell: &(impl Fn() + Sync),
) -> Decoded {
    let size = height * width * CHANNELS;
    let mut pixels = vec![0; size * items.len()];
    let read = |(place, item): (&mut [u8], &Item)| {
        let image = Picture::open(&item.path)
            .and_then(|picture| Ok((fitted(&picture, [height, width, CHANNELS], fit)?, picture.deep())));
        tell();
        image.map(|(image, deep)| {
            place.copy_from_slice(&image.pixels);
            deep
        })
    };
    let done: Vec<Result<Option<u16>>> = pixels.par_chunks_mut(size.max(1)).zip(items).map(read).collect();
    let mut kept = 0;
    let mut decoded = Decoded::default();
    for (n, (done, item)) in done.into_iter().zip(items).enumerate() {
        match done {
            Ok(most) => {
                deep.extend(most);
                pixels.copy_within(n * size..(n + 1) * size, kept);
                kept += size;
                decoded.labels.push(item.label);
                let name = item.path.strip_prefix(root).unwrap_or(&item.path);
                decoded.names.push(name.to_string_lossy().into_owned());
            }
            Err(error) => bad.push(error.to_string()),
        }
    }
    pixels.truncate(kept);
    Decoded { pixels, ..decoded }
}
