//! Pictures with masks, `images/` beside `masks/`: read in parallel, resized to one size, some held out for testing.

mod layout;

use crate::data::Fit;
use crate::data::formats::Format;
use crate::data::formats::held_out::{HELD_OUT, held_out};
use crate::data::formats::missing::{MASKS, has_masks};
use crate::data::formats::names::{CLASSES, listed};
use crate::data::formats::pictures::{CHANNELS, channels, common_size, left_out};
use crate::data::pictures::index::Mask;
use crate::data::pictures::picture::Picture;
use crate::data::pictures::placing::Placing;
use crate::data::pictures::prepare::fitted;
use crate::data::source::file_name;
use crate::data::values::{Classes, Meaning, as_grey, colour_of, occurring, text_of};
use crate::data::{Dataset, ReadOptions, Split};
use crate::error::{Error, Result, in_context};
use layout::{Pair, Part};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most values that become classes where no `classes.txt` names them.
const MOST_VALUES: usize = 64;

/// Where a mask is padded, before the classes are known: no number and no colour that a file has.
const PADDED: u32 = u32::MAX;

/// The format's line in the registry.
pub(super) const FORMAT: Format = Format { name: MASKS.0, by: MASKS.1, recognise: has_masks, read };

/// Pictures and masks of a part.
#[derive(Default)]
struct Decoded {
    count: usize,
    /// [count, height, width, 3].
    pixels: Vec<u8>,
    /// [count, height, width].
    values: Vec<u32>,
    /// The pictures' files, from the data folder on.
    names: Vec<String>,
    /// A mask of numbers and one of colours, whichever there are.
    examples: [Option<String>; 2],
}

/// The content of all files.
#[derive(Default)]
struct Found {
    values: BTreeSet<u32>,
    bad: Vec<String>,
    deep: Vec<u16>,
}

/// Reads `folder`: images and masks of the same names, at its top or in `train`, `val` and `test`; without tests a fifth of the
/// images, picked by their names, is kept for them. Images become RGB of one size, or grey where all of them are; masks follow
/// by nearest neighbour, and the values that occur in them are the classes.
///
/// # Errors
/// [`Error::Input`] if a part has no usable pair, images differ in size if none is requested, the masks have
/// values that are no classes, and where the options are strict, any file that cannot be used.
pub(in crate::data) fn read(folder: &Path, options: &ReadOptions) -> Result<Dataset> {
    let shown = folder.display();
    let mut found = Found::default();
    let mut notices = Vec::new();
    let mut parts = layout::parts(folder)?;
    let alone = parts.iter_mut().flatten().flat_map(|part| std::mem::take(&mut part.alone));
    found.bad.extend(alone);
    let unpaired = found.bad.len();
    let [train, validation, test] = parts.map(|part| part.map(|Part { pairs, .. }| pairs));
    let has_own = validation.is_some() && test.is_some();
    let held_out = validation.is_none() && test.is_none();
    let (train, validation, test) = match (train.unwrap_or_default(), validation, test) {
        // What a data set has to have, but no one asks for: one to train on.
        (train, None, None) if options.tests_alone => {
            notices.push(format!("{shown} has no test part: all of it is evaluated"));
            (train.iter().take(1).cloned().collect(), Vec::new(), train)
        }
        (train, None, None) if options.train_alone => (train, Vec::new(), Vec::new()),
        (train, None, None) => {
            if train.len() == 1 {
                return Err(Error::input(format!(
                    "data folder {shown}: found 1 picture with its mask, expected at least 2, to hold one out for testing: add pictures, \
                     or test/images and test/masks"
                )));
            }
            notices.push(format!("{shown} has no test folder: one image in {HELD_OUT} is held out for testing"));
            let (train, test) = hold_out(train);
            (train, Vec::new(), test)
        }
        // Without tests the validation images are what is tested on.
        (train, Some(test), None) | (train, None, Some(test)) => (train, Vec::new(), test),
        (train, Some(validation), Some(test)) => (train, validation, test),
    };
    let all = train.len() + validation.len() + test.len();
    let pictures = train.iter().chain(&validation).chain(&test).map(|pair| &*pair.picture);
    let size = match options.size {
        Some(size) => size,
        None if all == 0 => {
            let why = found.bad.first().map_or(String::new(), |why| format!(": {why}"));
            return Err(Error::input(format!("data folder {shown}: found no image with its mask{why}")));
        }
        None => common_size(&format!("data folder {shown}"), pictures)?,
    };
    let pixels = (size[0] as u64).saturating_mul(size[1] as u64).saturating_mul(all as u64);
    let what = format!("data folder {shown}: {all} images of {}×{} with their masks take", size[1], size[0]);
    crate::memory::check_free(pixels.saturating_mul(3 + 4), &what, "a smaller image size may fit")?;
    let done = AtomicUsize::new(0);
    let tell = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        options.progress.iter().for_each(|progress| progress(done, all));
    };
    let mut parts =
        [train, validation, test].map(|pairs| decode(&pairs, folder, (size, options.fit), &mut found, &tell));
    notices.extend(left_out(&found.bad, &found.deep, all + unpaired, options.strict)?);
    let in_folder = |e| in_context(&format!("data folder {shown}"), e);
    if let (true, Some(why)) = (parts.iter().all(|part| part.count == 0), found.bad.first()) {
        return Err(in_folder(Error::input(format!("found no image with its mask that can be used: {why}"))));
    }
    one_kind(&mut parts, &mut found.values).map_err(in_folder)?;
    let names = listed(&folder.join(CLASSES))?;
    let ignored = options.ignore_label;
    let meaning = Meaning { ignored, listed: names.as_deref(), known: options.class_names, most: MOST_VALUES };
    let classes = Classes::of(&found.values, meaning).map_err(in_folder)?;
    if classes.names.len() < 2 {
        let found = &classes.names[0];
        return Err(Error::input(format!(
            "data folder {shown}: found the mask value {found} alone, expected those of two classes or more"
        )));
    }
    notices.extend(classes.said());
    let padding = ignored.unwrap_or(classes.values[0]);
    let mut padded = false;
    for value in parts.iter_mut().flat_map(|part| &mut part.values).filter(|value| **value == PADDED) {
        (*value, padded) = (padding, true);
    }
    if padded {
        notices.push(match ignored {
            Some(label) => format!("masks are padded with {}, which is ignored", text_of(label)),
            None => {
                let name = &classes.names[0];
                format!("masks are padded with class 0, {name}; with --ignore-label VALUE they are padded with VALUE, which is ignored")
            }
        });
    }
    let channels = channels(&mut parts.each_mut().map(|part| &mut part.pixels), options.channels)?;
    let [train, validation, test] = parts;
    let split = |part: &str, decoded: Decoded| {
        let shape = [size[0], size[1], channels];
        let masked = match decoded.count {
            0 => Err(Error::input("found no image that can be used, expected at least one with its mask")),
            _ => Split::masked(shape, decoded.pixels, decoded.values),
        };
        masked
            .and_then(|mut split| classes.relabel(&mut split, ignored).map(|()| split))
            .and_then(|split| split.named(decoded.names))
            .map_err(|e| in_context(&format!("data folder {shown}, {part}"), e))
    };
    let train = split("train", train)?;
    let test = match held_out && options.train_alone {
        true => train.chosen(&[0])?,
        false => split("test", test)?,
    };
    let mut data = Dataset::new(file_name(folder), train, test)?;
    data.held_out = held_out;
    if has_own {
        data.validation = Some(split("validation", validation)?);
        notices.push(format!(
            "{shown}: each epoch is validated on the validation folder; the test folder is used once, at the end"
        ));
    }
    (data.classes, data.class_names) = (classes.names.len(), classes.names);
    data.prepare = options.fit.into();
    data.note(notices);
    Ok(data)
}

/// Parts files in two. Which go where hangs on their names alone.
fn hold_out(pairs: Vec<Pair>) -> (Vec<Pair>, Vec<Pair>) {
    let name = |n: usize| (crc32fast::hash(file_name(&pairs[n].picture).as_bytes()), pairs[n].picture.clone());
    let kept = held_out(&vec![0u8; pairs.len()], name);
    let (test, train): (Vec<_>, Vec<_>) = pairs.into_iter().zip(kept).partition(|(_, kept)| *kept);
    let only = |pairs: Vec<(Pair, bool)>| pairs.into_iter().map(|(pair, _)| pair).collect();
    (only(train), only(test))
}

/// A pair at the size of the set: how deep the picture was, and the values of the mask at its own size.
fn open(
    pair: &Pair,
    (size, fit): ([usize; 2], Fit),
    pixels: &mut [u8],
    values: &mut [u32],
) -> Result<(Option<u16>, BTreeSet<u32>)> {
    let picture = Picture::open(&pair.picture)?;
    let mask = Mask::open(&pair.mask)?;
    if [mask.width, mask.height] != [picture.width(), picture.height()] {
        return Err(Error::input(format!(
            "{}: found a mask of {}×{}, expected {}×{} as its picture {}",
            pair.mask.display(),
            mask.width,
            mask.height,
            picture.width(),
            picture.height(),
            file_name(&pair.picture)
        )));
    }
    pixels.copy_from_slice(&fitted(&picture, [size[0], size[1], CHANNELS], fit)?.pixels);
    let placing = Placing::of([mask.height, mask.width], size, fit);
    values.copy_from_slice(&mask.moved(size, placing, PADDED));
    Ok((picture.deep(), occurring(mask.values)))
}

/// All pairs that can be read, in their order.
fn decode(
    pairs: &[Pair],
    root: &Path,
    (size, fit): ([usize; 2], Fit),
    found: &mut Found,
    tell: &(impl Fn() + Sync),
) -> Decoded {
    let each = size[0] * size[1];
    let (mut pixels, mut values) = (vec![0; each * CHANNELS * pairs.len()], vec![0; each * pairs.len()]);
    let places = pixels.par_chunks_mut((each * CHANNELS).max(1)).zip(values.par_chunks_mut(each.max(1))).zip(pairs);
    let done: Vec<Result<(Option<u16>, BTreeSet<u32>)>> = places
        .map(|((pixels, values), pair)| {
            let done = open(pair, (size, fit), pixels, values);
            tell();
            done
        })
        .collect();
    let (mut kept, mut examples, mut names) = (0, [None, None], Vec::new());
    for (n, (done, pair)) in done.into_iter().zip(pairs).enumerate() {
        match done {
            Ok((deep, of_mask)) => {
                let is_coloured = of_mask.iter().any(|value| colour_of(*value).is_some() && as_grey(*value).is_none());
                let is_number = of_mask.iter().any(|value| colour_of(*value).is_none());
                for (example, fits) in examples.iter_mut().zip([is_number, is_coloured]) {
                    if fits && example.is_none() {
                        *example = Some(pair.mask.display().to_string());
                    }
                }
                found.deep.extend(deep);
                found.values.extend(of_mask);
                pixels.copy_within(n * each * CHANNELS..(n + 1) * each * CHANNELS, kept * each * CHANNELS);
                values.copy_within(n * each..(n + 1) * each, kept * each);
                let name = pair.picture.strip_prefix(root).unwrap_or(&pair.picture);
                names.push(name.to_string_lossy().into_owned());
                kept += 1;
            }
            Err(error) => found.bad.push(error.to_string()),
        }
    }
    pixels.truncate(kept * each * CHANNELS);
    values.truncate(kept * each);
    Decoded { count: kept, pixels, values, names, examples }
}

/// Brings the values of all masks to one kind: numbers, where every colour is grey, or colours.
fn one_kind(parts: &mut [Decoded; 3], values: &mut BTreeSet<u32>) -> Result<()> {
    let example = |kind: usize| parts.iter().find_map(|part| part.examples[kind].clone());
    match (example(0), example(1)) {
        (Some(numbers), Some(colours)) => Err(Error::input(format!(
            "found numbers in the mask {numbers} and colours in {colours}, expected all masks to be of one kind"
        ))),
        (_, Some(_)) => Ok(()),
        (_, None) => {
            let grey = |value: u32| as_grey(value).unwrap_or(value);
            *values = values.iter().map(|value| grey(*value)).collect();
            let all = parts.iter_mut().flat_map(|part| &mut part.values);
            all.for_each(|value| *value = grey(*value));
            Ok(())
        }
    }
}
