//! Picture files with a class each, from any source: decoded in parallel, resized to one size, some held out for
//! testing.

use crate::counted::human_bytes;
use crate::data::formats::held_out::held_out;
use crate::data::formats::pictures::{CHANNELS, channels, common_size, left_out, number_of_channels};
use crate::data::pictures::undecoded::{Seen, Undecoded, look, open};
use crate::data::source::file_name;
use crate::data::split::Labels;
use crate::data::{Dataset, Fit, ReadOptions, Split};
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file and its class.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) path: PathBuf,
    pub(super) label: u16,
}

/// The files of a data set, and what is known of it before they are read.
pub(super) struct Labelled<'a> {
    /// The data set's name.
    pub(super) name: String,
    /// Its name in errors, such as `data folder photos`.
    pub(super) place: String,
    /// Where the files' names begin.
    pub(super) root: &'a Path,
    pub(super) classes: Vec<String>,
    pub(super) train: Vec<Item>,
    /// The name of the part that every epoch is validated on, and its files.
    pub(super) validation: Option<(String, Vec<Item>)>,
    /// Without them some of those to train on are kept.
    pub(super) test: Option<Vec<Item>>,
    /// Why files that should be there cannot be used.
    pub(super) bad: Vec<String>,
    pub(super) notices: Vec<String>,
}

impl Labelled<'_> {
    /// Reads the files. Images become RGB of one size, or grey where all of them are; without tests a fifth of each class,
    /// picked by the names of the files, becomes the test set.
    ///
    /// # Errors
    /// [`Error::Input`] for a class without images, images of different sizes if none is requested, no usable image in a
    /// part, and where the options are strict, any file that is no readable image.
    pub(super) fn read(self, options: &ReadOptions) -> Result<Dataset> {
        let Labelled { name, place, root, classes, train, validation, test, mut bad, mut notices } = self;
        let (has_tests, missing) = (test.is_some(), bad.len());
        let (part, validation) = validation.map_or((None, Vec::new()), |(part, items)| (Some(part), items));
        let (train, test) = match test {
            Some(test) => (train, test),
            None if options.tests_alone => {
                notices.push(format!("{place} has no test part: all of it is evaluated"));
                // What a data set has to have, but no one asks for: one of each class.
                let of = |class| train.iter().find(|item| usize::from(item.label) == class);
                ((0..classes.len()).filter_map(of).cloned().collect(), train)
            }
            None if options.train_alone => (train, Vec::new()),
            None => hold_out(train),
        };
        let lacks = |class: &usize| train.iter().all(|item| usize::from(item.label) != *class);
        if let Some(class) = (0..classes.len()).find(lacks).filter(|_| !options.tests_alone) {
            return Err(Error::input(format!("{place}: class {} has no images to train on", classes[class])));
        }
        if test.is_empty() && !options.train_alone {
            let why = "each class has one image, expected at least two of a class, to hold one out for testing: add images, or a folder test with a folder for each class";
            return Err(Error::input(format!("{place}: {why}")));
        }
        let size = match options.size {
            Some(size) => size,
            None => common_size(&place, train.iter().chain(&validation).chain(&test).map(|item| &*item.path))?,
        };
        let done = AtomicUsize::new(0);
        let all = train.len() + validation.len() + test.len();
        let tell = || {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            options.progress.iter().for_each(|progress| progress(done, all));
        };
        let room = (all as u64).saturating_mul((size[0] as u64).saturating_mul(size[1] as u64)).saturating_mul(3);
        let what = format!("{all} images of {}×{}", size[1], size[0]);
        let stays = options.hold_pictures.filter(|most| room > *most);
        if let Some(most) = stays {
            notices.push(format!(
                "{what} take {}, more than {}: they stay in their files, and are decoded as they are needed",
                human_bytes(room),
                human_bytes(most)
            ));
        } else {
            crate::memory::check_free(room, &format!("{place}: {what} take"), "a smaller image size may fit")?;
        }
        let mut deep = Vec::new();
        let mut parts = [train, validation, test].map(|items| {
            let (place, bad, deep) = ((root, size, options.fit), &mut bad, &mut deep);
            if stays.is_some() { see(&items, place, bad, deep, &tell) } else { decode(&items, place, bad, deep, &tell) }
        });
        let channels = match stays {
            None => channels(&mut parts.each_mut().map(|part| &mut part.pixels), options.channels)?,
            Some(_) => number_of_channels(options.channels, || {
                parts.iter().flat_map(|part| &part.seen).all(|(_, seen)| seen.is_grey)
            })?,
        };
        let [train, validation, test] = parts;
        let split = |part: &str, Part { pixels, seen, labels, names }| {
            let (shape, labels) = ([size[0], size[1], channels], Labels::narrow(labels));
            let split = match stays {
                None => Split::narrow(shape, pixels, labels, &[]),
                Some(_) => Split::undecoded(shape, Undecoded::new(seen, shape, options.fit), labels),
            };
            split.and_then(|split| split.named(names)).map_err(|e| Error::input(format!("{place}, {part}: {e}")))
        };
        notices.extend(left_out(&bad, &deep, all + missing, options.strict)?);
        let train = split("train", train)?;
        let test = match !has_tests && options.train_alone {
            true => train.chosen(&[0])?,
            false => split("test", test)?,
        };
        let validation = part.map(|part| split(&part, validation)).transpose()?;
        let mut data = Dataset::new(name, train, test)?;
        (data.held_out, data.validation) = (!has_tests, validation);
        (data.classes, data.class_names) = (classes.len(), classes);
        data.prepare = options.fit.into();
        data.note(notices);
        Ok(data)
    }
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

/// The images of a part that can be read: their pixels, or what was seen of them.
#[derive(Default)]
struct Part {
    pixels: Vec<u8>,
    seen: Vec<(PathBuf, Seen)>,
    labels: Vec<u16>,
    /// Their files, from the data folder on.
    names: Vec<String>,
}

impl Part {
    /// Adds a file that can be read.
    fn add(&mut self, item: &Item, root: &Path) {
        self.labels.push(item.label);
        let name = item.path.strip_prefix(root).unwrap_or(&item.path);
        self.names.push(name.to_string_lossy().into_owned());
    }
}

/// Where the files' names begin, the images' height and width, and how pictures are brought to it.
type Place<'a> = (&'a Path, [usize; 2], Fit);

/// All that can be read, in memory; why the others cannot goes to `bad`, the largest value of those that had more than 8 bits a
/// channel to `deep`.
fn decode(
    items: &[Item],
    (root, [height, width], fit): Place,
    bad: &mut Vec<String>,
    deep: &mut Vec<u16>,
    tell: &(impl Fn() + Sync),
) -> Part {
    let size = height * width * CHANNELS;
    let mut pixels = vec![0; size * items.len()];
    let read = |(place, item): (&mut [u8], &Item)| {
        let image = open(&item.path, [height, width], fit);
        tell();
        image.map(|(pixels, deep)| {
            place.copy_from_slice(&pixels);
            deep
        })
    };
    let done: Vec<Result<Option<u16>>> = pixels.par_chunks_mut(size.max(1)).zip(items).map(read).collect();
    let (mut kept, mut part) = (0, Part::default());
    for (n, (done, item)) in done.into_iter().zip(items).enumerate() {
        match done {
            Ok(most) => {
                deep.extend(most);
                pixels.copy_within(n * size..(n + 1) * size, kept);
                kept += size;
                part.add(item, root);
            }
            Err(error) => bad.push(error.to_string()),
        }
    }
    pixels.truncate(kept);
    Part { pixels, ..part }
}

/// `decode` for files whose pictures stay there: each is decoded once, to know that it can be.
fn see(
    items: &[Item],
    (root, size, fit): Place,
    bad: &mut Vec<String>,
    deep: &mut Vec<u16>,
    tell: &(impl Fn() + Sync),
) -> Part {
    let look = |item: &Item| {
        let seen = look(&item.path, size, fit);
        tell();
        seen
    };
    let all: Vec<Result<Seen>> = items.par_iter().map(look).collect();
    let mut part = Part::default();
    for (seen, item) in all.into_iter().zip(items) {
        match seen {
            Ok(seen) => {
                deep.extend(seen.deep);
                part.seen.push((item.path.clone(), seen));
                part.add(item, root);
            }
            Err(error) => bad.push(error.to_string()),
        }
    }
    part
}
