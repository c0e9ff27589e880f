//! NumPy arrays: `x_train.npy`, `y_train.npy`, `x_test.npy`, `y_test.npy`, whose headers are checked.
//!
//! The format is NumPy's, versions 1 to 3 (numpy.lib.format): a magic number, the length of a header, the header as a
//! Python dictionary of `descr`, `fortran_order` and `shape`, then the values.

mod archive;
mod header;
mod labels;

pub(in crate::data::formats) use archive::FORMAT as ARCHIVE;
pub use header::{Header, bytes, parse};
pub use labels::read_labels;

use crate::data::formats::Format;
pub use crate::data::formats::names::CLASSES;
use crate::data::formats::names::{class_names, listed};
use crate::data::schema::{ANSWERS, LABEL};
use crate::data::source::{Source, file_name};
use crate::data::values::{Classes, Meaning, occurring};
use crate::data::{Dataset, MOST_CLASSES, ReadOptions, Split};
use crate::error::{Error, Result, in_context};
use header::{check_length, open};
use labels::read_any_labels;
use std::path::Path;

/// Images and labels to train on, then those to test on.
pub const FILES: [&str; 4] = ["x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"];

/// Images and labels to validate on, where there are any.
const VALIDATION_FILES: [[&str; 2]; 2] = [["x_val.npy", "y_val.npy"], ["x_valid.npy", "y_valid.npy"]];

/// The format's line in the registry.
pub(super) const FORMAT: Format = Format {
    name: "NumPy arrays",
    by: "x_train.npy, y_train.npy, x_test.npy and y_test.npy",
    recognise: |entries| entries.any(|name| FILES.contains(&name)),
    read: read_with,
};

/// Reads the four files in `folder`.
///
/// # Errors
/// [`Error::Input`] that names the file, where one is missing, malformed, or holds what is not an image or no label.
pub fn read(folder: &Path) -> Result<Dataset> {
    read_holding(folder, u64::MAX)
}

/// `read`, but that more than `hold_bytes` of a split's pixels stay in their file.
///
/// # Errors
/// As [`read`].
pub fn read_holding(folder: &Path, hold_bytes: u64) -> Result<Dataset> {
    read_with(folder, &ReadOptions { hold_bytes: Some(hold_bytes), ..ReadOptions::default() })
}

/// `read`, with a say in what the labels of masks mean.
fn read_with(folder: &Path, options: &ReadOptions) -> Result<Dataset> {
    let hold_bytes = options.hold_bytes.unwrap_or(u64::MAX);
    let open = |name: &str| Source::open(&folder.join(name));
    let [train_images, train_labels, test_images, test_labels] = FILES;
    let train = split(open(train_images)?, open(train_labels)?, hold_bytes)?;
    let test = split(open(test_images)?, open(test_labels)?, hold_bytes)?;
    let place = format!("data folder {}", folder.display());
    let validation = VALIDATION_FILES.iter().find(|[images, _]| folder.join(images).exists());
    let validation = validation.map(|[images, labels]| split(open(images)?, open(labels)?, hold_bytes)).transpose()?;
    data_set((file_name(folder), &place, &folder.join(CLASSES)), [Some(train), validation, Some(test)], options)
}

/// The data set of the parts to train on, to validate on and to test on; `name`, what errors call it, and where names of
/// classes may be.
fn data_set(
    (name, place, listed_in): (String, &str, &Path),
    [train, validation, test]: [Option<Split>; 3],
    options: &ReadOptions,
) -> Result<Dataset> {
    let missing = || Error::input(format!("{place}: found no part to train or to test on, expected both"));
    let (mut train, mut test, mut validation) = (train.ok_or_else(missing)?, test.ok_or_else(missing)?, validation);
    let mut classes = None;
    if train.column(LABEL).is_some() && (train.positions() > 1 || options.ignore_label.is_some()) {
        let parts = [&mut train, &mut test].into_iter().chain(&mut validation);
        classes = Some(masks(parts.collect(), listed_in, options).map_err(|e| in_context(place, e))?);
    }
    let mut data = Dataset::new(name, train, test)?;
    if let Some(validation) = validation {
        data.add_validation(validation)?;
    }
    if let Some(classes) = classes {
        data.notice = classes.said();
        // Two classes are the least that a data set has.
        if classes.names.len() >= data.classes {
            (data.classes, data.class_names) = (classes.names.len(), classes.names);
        }
        return Ok(data);
    }
    let answers = data.train.column(ANSWERS).is_some();
    let most = if answers { data.classes } else { MOST_CLASSES };
    if let Some(names) = class_names(listed_in, data.classes, most)? {
        (data.classes, data.class_names) = (names.len(), names);
    }
    data.notice = (answers && is_one_hot(&data.train)).then(|| {
        "each training sample has exactly one yes: where these are classes, y.argmax(axis=1) gives their labels".into()
    });
    Ok(data)
}

/// The classes of labels that are values which may stand for other classes, or for none: the parts have them afterwards.
fn masks(parts: Vec<&mut Split>, listed_in: &Path, options: &ReadOptions) -> Result<Classes> {
    let found = occurring(parts.iter().flat_map(|part| part.each_label()));
    let names = listed(listed_in)?;
    let (ignored, known) = (options.ignore_label, options.class_names);
    let meaning = Meaning { ignored, listed: names.as_deref(), known, most: MOST_CLASSES };
    let classes = Classes::of(&found, meaning)?;
    // What is right as it is keeps its bytes.
    if ignored.is_some() || !classes.are_values() {
        parts.into_iter().try_for_each(|part| classes.relabel(part, ignored))?;
    }
    Ok(classes)
}

/// Whether of each sample's answers exactly one is yes.
fn is_one_hot(split: &Split) -> bool {
    split.column(ANSWERS).is_some_and(|answers| {
        let each = answers.field().elements().max(1);
        answers.held().chunks(each).all(|row| row.iter().filter(|answer| **answer == 1).count() == 1)
    })
}

/// Reads images [count, height, width] or [count, height, width, channels] of unsigned bytes, and their labels `[count]`
/// or [count, 1] of any integer type, [count, height, width] where each pixel has its own, or [count, answers] of 0 and 1.
///
/// # Errors
/// As [`read`].
pub fn read_split(images: &Path, labels: &Path) -> Result<Split> {
    split(Source::open(images)?, Source::open(labels)?, u64::MAX)
}

/// A split of two arrays; more than `hold_bytes` of pixels stay in their file.
fn split(of_images: Source, of_labels: Source, hold_bytes: u64) -> Result<Split> {
    let [images, labels] = [&of_images, &of_labels].map(|source| source.path().to_owned());
    let (sizes, classes) = read_any_labels(of_labels)?;
    let (count, shape, mut source, left) = open_images(of_images)?;
    if let [found, rows, columns] = sizes[..] {
        let [height, width, _] = shape;
        if [found, rows, columns] != [count, height, width] {
            return Err(Error::input(format!(
                "{} holds labels of shape {sizes:?}, but {} holds images of {:?}: expected {:?}, one label per pixel",
                labels.display(),
                images.display(),
                [count, height, width],
                [count, height, width]
            )));
        }
        return match left > hold_bytes {
            true => Split::in_file(shape, source.region()?, classes, &[height, width]),
            false => Split::narrow(shape, source.rest(left)?, classes, &[height, width]),
        };
    }
    if count != classes.len() {
        return Err(Error::input(format!(
            "{} holds {} labels, but {} holds {count} images: expected as many labels as images",
            labels.display(),
            classes.len(),
            images.display()
        )));
    }
    match left > hold_bytes {
        true => Split::in_file(shape, source.region()?, classes, &[]),
        false => Split::narrow(shape, source.rest(left)?, classes, &[]),
    }
}

/// Reads images: their count, [height, width, channels], and the pixels.
///
/// # Errors
/// As [`read`].
pub fn read_images(path: &Path) -> Result<(usize, [usize; 3], Vec<u8>)> {
    let (count, shape, mut source, left) = open_images(Source::open(path)?)?;
    Ok((count, shape, source.rest(left)?))
}

/// The header of an array of images; this many bytes of pixels follow.
fn open_images(source: Source) -> Result<(usize, [usize; 3], Source, u64)> {
    let path = source.path().to_owned();
    let shown = path.display();
    let (header, source, left) = open(source)?;
    let wanted = "expected unsigned bytes (|u1)";
    match header.descr.as_bytes() {
        [b'|' | b'<' | b'>' | b'=', b'u', b'1'] => {}
        [_, b'f', ..] => {
            let remedy = "np.round(x * 255).astype(np.uint8) makes them of 0 to 1";
            return Err(Error::input(format!("{shown}: found pixels of type {}, {wanted}; {remedy}", header.descr)));
        }
        _ => return Err(Error::input(format!("{shown}: found pixels of type {}, {wanted}", header.descr))),
    }
    let (count, shape) = match header.shape[..] {
        [count, height, width] => (count, [height, width, 1]),
        // As PyTorch has them: no picture is 1 to 4 pixels high and wider than 4 with that many channels.
        [_, 1..=4, _, channels] if channels > 4 => {
            return Err(Error::input(format!(
                "{shown}: found {:?}, which looks like channels before rows, expected [count, height, width, channels]",
                header.shape
            )));
        }
        [count, height, width, channels] => (count, [height, width, channels]),
        _ => {
            return Err(Error::input(format!(
                "{shown}: found the shape {:?}, expected [count, height, width] or [count, height, width, channels]",
                header.shape
            )));
        }
    };
    check_length(&path, &header, 1, left)?;
    Ok((count, shape, source, left))
}
