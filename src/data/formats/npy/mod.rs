//! NumPy arrays: `x_train.npy`, `y_train.npy`, `x_test.npy`, `y_test.npy`, of which no header is believed unchecked.
//!
//! The format is NumPy's, versions 1 to 3 (numpy.lib.format): a magic number, the length of a header, the header as a
//! Python dictionary of `descr`, `fortran_order` and `shape`, then the values.

mod header;
mod labels;

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
/// [`Error::Input`] that names the file, where one is missing, malformed, or holds what is no image or no label.
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
    let [train_images, train_labels, test_images, test_labels] = FILES.map(|name| folder.join(name));
    let train = read_split_holding(&train_images, &train_labels, hold_bytes)?;
    let test = read_split_holding(&test_images, &test_labels, hold_bytes)?;
    if train.column(LABEL).is_some() && (train.positions() > 1 || options.ignore_label.is_some()) {
        return masks(folder, train, test, options);
    }
    let mut data = Dataset::new(file_name(folder), train, test)?;
    let answers = data.train.column(ANSWERS).is_some();
    let most = if answers { data.classes } else { MOST_CLASSES };
    if let Some(names) = class_names(&folder.join(CLASSES), data.classes, most)? {
        (data.classes, data.class_names) = (names.len(), names);
    }
    data.notice = (answers && is_one_hot(&data.train)).then(|| {
        "each training sample has exactly one yes: where these are classes, y.argmax(axis=1) gives their labels".into()
    });
    Ok(data)
}

/// The data set of images whose labels are values that may stand for other classes, or for none.
fn masks(folder: &Path, mut train: Split, mut test: Split, options: &ReadOptions) -> Result<Dataset> {
    let in_folder = |e| in_context(&format!("data folder {}", folder.display()), e);
    let found = occurring(train.each_label().chain(test.each_label()));
    let names = listed(&folder.join(CLASSES))?;
    let (ignored, known) = (options.ignore_label, options.class_names);
    let meaning = Meaning { ignored, listed: names.as_deref(), known, most: MOST_CLASSES };
    let classes = Classes::of(&found, meaning).map_err(in_folder)?;
    // What is right as it is keeps its bytes.
    if ignored.is_some() || !classes.are_values() {
        classes.relabel(&mut train, ignored)?;
        classes.relabel(&mut test, ignored)?;
    }
    let mut data = Dataset::new(file_name(folder), train, test)?;
    data.notice = classes.said();
    // Two classes are the least that a data set has.
    if classes.names.len() >= data.classes {
        (data.classes, data.class_names) = (classes.names.len(), classes.names);
    }
    Ok(data)
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
    read_split_holding(images, labels, u64::MAX)
}

fn read_split_holding(images: &Path, labels: &Path, hold_bytes: u64) -> Result<Split> {
    let (sizes, classes) = read_any_labels(labels)?;
    let (count, shape, mut source, left) = open_images(images)?;
    if let [found, rows, columns] = sizes[..] {
        let [height, width, _] = shape;
        if [found, rows, columns] != [count, height, width] {
            return Err(Error::input(format!(
                "{} holds labels of shape {sizes:?}, but {} holds images of {:?}: expected {:?}, one label a pixel",
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
    let (count, shape, mut source, left) = open_images(path)?;
    Ok((count, shape, source.rest(left)?))
}

/// Images up to their pixels, of which so many bytes come next.
fn open_images(path: &Path) -> Result<(usize, [usize; 3], Source, u64)> {
    let shown = path.display();
    let (header, source, left) = open(path)?;
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
        // As PyTorch has them: no picture is 1 to 4 pixels high and wider than 4, with so many channels.
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
    check_length(path, &header, 1, left)?;
    Ok((count, shape, source, left))
}
