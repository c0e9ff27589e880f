//! Folders of images, one folder a class: read in parallel, brought to one size, some kept for tests.

use super::picture::Picture;
use super::prepare::resized;
use super::{Dataset, Split};
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Red, green and blue: what images of all kinds become.
const CHANNELS: usize = 3;

/// What the two parts of a data set may be called, the likeliest first.
const TRAIN: &[&str] = &["train", "training"];
const TEST: &[&str] = &["test", "testing", "val", "valid", "validation"];

/// Of a class's images one in so many is kept for tests, where no folder has them.
const HELD_OUT: usize = 5;

/// How many files that could not be used are named; the others are counted.
const NAMED: usize = 3;

/// How a folder of images is to be read.
#[derive(Clone, Copy, Default)]
pub struct ImageOptions<'a> {
    /// Height and width that all images are brought to; without, they must have one size.
    pub size: Option<[usize; 2]>,
    /// Whether a file that cannot be used is an error; without, it is left out, named and counted.
    pub strict: bool,
    /// Is told how many files are read, of how many.
    pub progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
}

impl std::fmt::Debug for ImageOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("ImageOptions").field("size", &self.size).field("strict", &self.strict).finish_non_exhaustive()
    }
}

/// A file and its class.
struct Item {
    path: PathBuf,
    label: u8,
}

/// Whether this is a folder with folders in it and none of the files that an IDX data set has.
pub(super) fn is_one(folder: &Path) -> bool {
    let entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    let is_idx = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().to_lowercase();
        entry.path().is_file() && (name.contains("images") || name.contains("labels"))
    };
    entries.iter().any(|entry| entry.path().is_dir() && !is_hidden(&entry.path())) && !entries.iter().any(is_idx)
}

/// Reads `folder`: `train` and `test` (or `val`) with a folder a class in each, or folders of classes alone, of each of
/// which a fifth of the images, picked by their names, becomes the test set. Images become RGB of one size.
///
/// # Errors
/// [`Error::Input`] for fewer than two or more than 256 classes, images of different sizes where none is asked for, no
/// usable image in a part, and where the options are strict, any file that is no readable image.
pub(super) fn read(folder: &Path, options: &ImageOptions) -> Result<Dataset> {
    let shown = folder.display();
    let parts = folders(folder)?;
    let find = |names: &[&str]| {
        names.iter().find_map(|name| parts.iter().find(|part| file_name(part).eq_ignore_ascii_case(name)))
    };
    let (train_root, test_root) = match (find(TRAIN), find(TEST)) {
        (None, Some(test)) => {
            let found = file_name(test);
            return Err(Error::input(format!("data folder {shown}: found {found}, expected train beside it")));
        }
        (train, test) => (train.map_or(folder, |train| train), test),
    };
    let classes: Vec<String> = folders(train_root)?.iter().map(|class| file_name(class)).collect();
    if !(2..=256).contains(&classes.len()) {
        let found = classes.len();
        return Err(Error::input(format!(
            "data folder {}: found {found} folders, expected one for each of 2 to 256 classes",
            train_root.display()
        )));
    }
    let mut notices = Vec::new();
    let (train, test) = match test_root {
        Some(test) => (items(train_root, &classes)?, items(test, &classes)?),
        None => {
            notices
                .push(format!("{shown} has no test folder: one image in {HELD_OUT} of each class is kept for tests"));
            hold_out(items(train_root, &classes)?)
        }
    };
    if let Some(class) = (0..classes.len()).find(|&class| train.iter().all(|item| usize::from(item.label) != class)) {
        return Err(Error::input(format!("data folder {shown}: class {} has no images to train on", classes[class])));
    }
    let mut bad = Vec::new();
    let size = match options.size {
        Some(size) => size,
        None => common_size(folder, train.iter().chain(&test))?,
    };
    let done = AtomicUsize::new(0);
    let all = train.len() + test.len();
    let tell = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        options.progress.iter().for_each(|progress| progress(done, all));
    };
    let room = (all as u64).saturating_mul((size[0] as u64).saturating_mul(size[1] as u64)).saturating_mul(3);
    let what = format!("data folder {shown}: {all} images of {}×{} take", size[1], size[0]);
    crate::cpu::check_free(room, &what, "a smaller image size may fit")?;
    let [train, test] = [("train", train), ("test", test)].map(|(part, items)| {
        let (pixels, labels) = decode(&items, size, &mut bad, &tell);
        let shape = [size[0], size[1], CHANNELS];
        Split::new(shape, pixels, labels).map_err(|e| Error::input(format!("data folder {shown}, {part}: {e}")))
    });
    if let Some(why) = bad.first() {
        let named = bad.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
        let more = if bad.len() > NAMED { format!("; and {} more", bad.len() - NAMED) } else { String::new() };
        if options.strict {
            return Err(Error::input(format!("{why} ({} of {all} files cannot be used)", bad.len())));
        }
        notices.push(format!("{} of {all} files cannot be used and are left out: {named}{more}", bad.len()));
    }
    let mut data = Dataset::new(file_name(folder), train?, test?)?;
    (data.classes, data.class_names) = (classes.len(), classes);
    data.notice = (!notices.is_empty()).then(|| notices.join("\nnote: "));
    Ok(data)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What systems leave behind, and people do not see.
fn is_hidden(path: &Path) -> bool {
    let name = file_name(path);
    name.starts_with('.') || ["thumbs.db", "desktop.ini", "__macosx"].contains(&&*name.to_lowercase())
}

/// What is in a folder, by name.
fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    let fault = |e: std::io::Error| Error::input(format!("data folder {} cannot be read: {e}", folder.display()));
    let mut found: Vec<fs::DirEntry> =
        fs::read_dir(folder).map_err(fault)?.collect::<std::io::Result<_>>().map_err(fault)?;
    found.retain(|entry| !is_hidden(&entry.path()));
    found.sort_by_key(fs::DirEntry::file_name);
    Ok(found)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.iter().map(fs::DirEntry::path).filter(|path| path.is_dir()).collect())
}

/// The files of every class, class by class, those in folders of a class's folder included.
fn items(root: &Path, classes: &[String]) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for folder in folders(root)? {
        let Some(label) = classes.iter().position(|class| *class == file_name(&folder)) else {
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
                    false => items.push(Item { path: entry.path(), label: label as u8 }),
                }
            }
        }
    }
    Ok(items)
}

/// Parts each class's files in two. Which go where hangs on their names alone, so that images that are added or taken
/// away move few others.
fn hold_out(items: Vec<Item>) -> (Vec<Item>, Vec<Item>) {
    let mut classes: Vec<Vec<Item>> = (0..=u8::MAX).map(|_| Vec::new()).collect();
    items.into_iter().for_each(|item| classes[usize::from(item.label)].push(item));
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for mut class in classes {
        class.sort_by_cached_key(|item| (crc32fast::hash(file_name(&item.path).as_bytes()), item.path.clone()));
        let kept = match class.len() {
            0 | 1 => 0,
            count => (count / HELD_OUT).max(1),
        };
        let mut rest = class.split_off(kept);
        class.sort_by(|a, b| a.path.cmp(&b.path));
        rest.sort_by(|a, b| a.path.cmp(&b.path));
        test.extend(class);
        train.extend(rest);
    }
    (train, test)
}

/// The size that all readable images have.
fn common_size<'a>(folder: &Path, items: impl Iterator<Item = &'a Item>) -> Result<[usize; 2]> {
    let paths: Vec<&Path> = items.map(|item| item.path.as_path()).collect();
    let sizes: Vec<[usize; 2]> = paths.par_iter().filter_map(|path| Picture::size(path).ok()).collect();
    let (Some(least), Some(most)) = (sizes.iter().min(), sizes.iter().max()) else {
        return Err(Error::input(format!("data folder {}: found no readable image", folder.display())));
    };
    match least == most {
        true => Ok(*least),
        false => Err(Error::input(format!(
            "data folder {}: found images of {}×{} to {}×{}, expected one size, or one to bring them to (--image-size)",
            folder.display(),
            least[1],
            least[0],
            most[1],
            most[0]
        ))),
    }
}

/// Pixels and labels of all that can be read; why the others cannot goes to `bad`.
fn decode(
    items: &[Item],
    [height, width]: [usize; 2],
    bad: &mut Vec<String>,
    tell: &(impl Fn() + Sync),
) -> (Vec<u8>, Vec<u8>) {
    let size = height * width * CHANNELS;
    let mut pixels = vec![0; size * items.len()];
    let read = |(place, item): (&mut [u8], &Item)| {
        let image = Picture::open(&item.path).and_then(|picture| resized(&picture, [height, width, CHANNELS]));
        tell();
        image.map(|image| place.copy_from_slice(&image.pixels))
    };
    let done: Vec<Result<()>> = pixels.par_chunks_mut(size.max(1)).zip(items).map(read).collect();
    let (mut kept, mut labels) = (0, Vec::new());
    for (n, (done, item)) in done.into_iter().zip(items).enumerate() {
        match done {
            Ok(()) => {
                pixels.copy_within(n * size..(n + 1) * size, kept);
                kept += size;
                labels.push(item.label);
            }
            Err(error) => bad.push(error.to_string()),
        }
    }
    pixels.truncate(kept);
    (pixels, labels)
}
