//! CIFAR-10's binary version: records of a label and 32×32 pixels, the red plane first, then green and blue.
//!
//! The format is Krizhevsky's, <https://www.cs.toronto.edu/~kriz/cifar.html>; any number of records a file is read.

use crate::data::formats::Format;
use crate::data::source::{Source, file_name};
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use std::path::Path;

/// Five files to train on and one to test on.
pub const FILES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];

/// The format's line in the registry.
pub(super) const FORMAT: Format = Format {
    name: "CIFAR-10 binary",
    by: "data_batch_1.bin to data_batch_5.bin and test_batch.bin",
    recognise: |entries| entries.any(|name| FILES.contains(&name)) || entries.folders.iter().any(|name| name == FOLDER),
    read: |folder, _| read(folder),
};

/// The folder that the published archive holds them in.
pub const FOLDER: &str = "cifar-10-batches-bin";

/// The file with the names of the classes, one per line.
const NAMES: &str = "batches.meta.txt";

/// Height and width.
const SIDE: usize = 32;
/// Pixels of a plane.
const PLANE: usize = SIDE * SIDE;
/// A label and three planes.
const RECORD: usize = 1 + 3 * PLANE;
/// Labels are 0 to 9.
const CLASSES: usize = 10;
/// Records of each published file.
const PUBLISHED: usize = 10_000;
/// The most bytes of a file of names.
const NAMES_BYTES: u64 = 1 << 16;

/// Reads the six files in `folder`, or in `cifar-10-batches-bin` within it.
///
/// # Errors
/// [`Error::Input`] that names the file, where one is missing, is no whole number of records or has a label above 9.
pub fn read(folder: &Path) -> Result<Dataset> {
    let inner = folder.join(FOLDER);
    let place = if FILES.iter().any(|name| folder.join(name).exists()) { folder.to_owned() } else { inner };
    let mut parts = FILES.map(|name| place.join(name)).into_iter();
    let (mut labels, mut pixels, mut odd) = (Vec::new(), Vec::new(), Vec::new());
    for path in parts.by_ref().take(FILES.len() - 1) {
        let count = labels.len();
        read_into(&path, &mut labels, &mut pixels)?;
        odd.extend(another_count(&path, labels.len() - count));
    }
    let train = Split::new([SIDE, SIDE, 3], pixels, labels)?;
    let path = place.join(FILES[FILES.len() - 1]);
    let test = read_batch(&path)?;
    odd.extend(another_count(&path, test.count));
    let mut data = Dataset::new(file_name(folder), train, test)?;
    data.classes = CLASSES;
    data.class_names = names(&place.join(NAMES))?;
    data.notice =
        (!odd.is_empty()).then(|| format!("{}, where CIFAR-10's files hold {PUBLISHED} each", odd.join(", ")));
    Ok(data)
}

/// One file: images [count, 32, 32, 3] and their labels.
///
/// # Errors
/// As [`read`].
pub fn read_batch(path: &Path) -> Result<Split> {
    let (mut labels, mut pixels) = (Vec::new(), Vec::new());
    read_into(path, &mut labels, &mut pixels)?;
    Split::new([SIDE, SIDE, 3], pixels, labels)
}

fn another_count(path: &Path, count: usize) -> Option<String> {
    (count != PUBLISHED).then(|| format!("{} holds {count} images", file_name(path)))
}

/// Adds the records of a file; planes become pixels.
fn read_into(path: &Path, labels: &mut Vec<u8>, pixels: &mut Vec<u8>) -> Result<()> {
    let shown = path.display();
    let mut source = Source::open(path)?;
    let (bytes, record) = (source.bytes, RECORD as u64);
    if bytes == 0 || bytes % record != 0 {
        return Err(Error::input(format!(
            "{shown} holds {bytes} bytes, expected one or more whole records of {RECORD}: a label and 3×{SIDE}×{SIDE} pixels"
        )));
    }
    for (n, record) in source.rest(bytes)?.chunks_exact(RECORD).enumerate() {
        let label = record[0];
        if usize::from(label) >= CLASSES {
            return Err(Error::input(format!(
                "{shown}, image {n}: found label {label}, expected 0 to {}",
                CLASSES - 1
            )));
        }
        labels.push(label);
        let plane = |channel: usize| &record[1 + channel * PLANE..][..PLANE];
        let (red, green, blue) = (plane(0), plane(1), plane(2));
        pixels.extend((0..PLANE).flat_map(|at| [red[at], green[at], blue[at]]));
    }
    Ok(())
}

/// The names in a file of them, or the numbers if there is none.
fn names(path: &Path) -> Result<Vec<String>> {
    if !path.exists() {
        return Ok((0..CLASSES).map(|class| class.to_string()).collect());
    }
    let shown = path.display();
    let bytes = Source::open(path)?.take(NAMES_BYTES)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::input(format!("{shown}: found text that is not UTF-8, expected names")))?;
    let names: Vec<String> = text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    match names.len() {
        CLASSES => Ok(names),
        found => Err(Error::input(format!("{shown}: found {found} names of classes, expected {CLASSES}"))),
    }
}
