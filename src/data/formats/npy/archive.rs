//! `.npz`: arrays in one archive, under the names that Keras, MedMNIST and `np.savez` give them.

use crate::counted::counted;
use crate::data::formats::Format;
use crate::data::formats::held_out::{HELD_OUT, held_out, one_of};
use crate::data::formats::npy::{CLASSES, data_set, split};
use crate::data::schema::LABEL;
use crate::data::source::{Source, file_name};
use crate::data::{Dataset, ReadOptions, Split};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use zip::ZipArchive;

/// The format's line in the registry.
pub(in crate::data::formats) const FORMAT: Format = Format {
    name: "NumPy archive",
    by: "FILE.npz",
    recognise: |entries| entries.is_file && entries.files.iter().any(|name| name.to_lowercase().ends_with(".npz")),
    read,
};

/// Names of the images and of the labels of each part: to train on, to validate on, to test on.
const NAMES: [&[[&str; 2]]; 3] = [
    &[
        ["x_train", "y_train"],
        ["train_images", "train_labels"],
        ["X_train", "y_train"],
        ["x", "y"],
        ["X", "y"],
        ["images", "labels"],
        ["data", "labels"],
        ["arr_0", "arr_1"],
    ],
    &[
        ["x_val", "y_val"],
        ["val_images", "val_labels"],
        ["X_val", "y_val"],
        ["x_valid", "y_valid"],
        ["X_valid", "y_valid"],
        ["x_validation", "y_validation"],
    ],
    &[["x_test", "y_test"], ["test_images", "test_labels"], ["X_test", "y_test"]],
];

/// An archive that is open.
struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<BufReader<File>>,
}

/// Whether the end of an archive's list of files is where it must be, in the last 64 KiB: a large file of another kind would be
/// searched as a whole.
///
/// Source: PKWARE's APPNOTE.TXT, 4.3.16.
fn ends_as_an_archive(file: &mut File) -> std::io::Result<bool> {
    const LONGEST: u64 = 22 + u16::MAX as u64;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST)))?;
    let mut end = Vec::new();
    Read::by_ref(file).take(LONGEST).read_to_end(&mut end)?;
    file.rewind()?;
    Ok(end.windows(4).any(|bytes| bytes == b"PK\x05\x06"))
}

/// Reads the arrays; if there are none to test on, those to validate on are, or a fifth is kept.
fn read(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    let place = path.display().to_string();
    let unreadable = |e: std::io::Error| Error::input(format!("{place} cannot be read: {e}"));
    let malformed =
        |e: &dyn std::fmt::Display| Error::input(format!("{place}: found no archive of arrays (.npz): {e}"));
    let mut file = crate::files::open(path).map_err(unreadable)?;
    if !ends_as_an_archive(&mut file).map_err(unreadable)? {
        return Err(malformed(&"the list of its files is not at its end"));
    }
    let mut archive = Archive { path, zip: ZipArchive::new(BufReader::new(file)).map_err(|e| malformed(&e))? };
    let mut parts = [None, None, None];
    for (part, names) in parts.iter_mut().zip(NAMES) {
        *part = archive.part(names)?;
    }
    let mut notice = None;
    let [train, validation, test] = parts;
    let train = train.ok_or_else(|| {
        let found: Vec<&str> = archive.zip.file_names().take(8).collect();
        let found = if found.is_empty() { "nothing".into() } else { found.join(", ") };
        let wanted = "expected x_train and y_train, train_images and train_labels, x and y, or images and labels";
        Error::input(format!("{place}: found {}, {wanted}", found.escape_debug()))
    })?;
    let held = validation.is_none() && test.is_none();
    let untested = validation.is_some() && test.is_none();
    let (train, validation, test) = match (validation, test) {
        (None, None) => {
            let (train, test, said) = kept(&place, train, options)?;
            notice = said;
            (train, None, test)
        }
        // Without tests the validation images are what is tested on.
        (Some(test), None) | (None, Some(test)) => (train, None, test),
        (Some(validation), Some(test)) => {
            notice = Some(format!(
                "{place}: each epoch is validated on the validation part; the test part is used once, at the end"
            ));
            (train, Some(validation), test)
        }
    };
    let names = path.with_file_name(CLASSES);
    let mut data = data_set((file_name(path), &place, &names), [Some(train), validation, Some(test)], options)?;
    (data.held_out, data.untested) = (held, untested);
    let others = data.notice.take();
    data.note(notice.into_iter().chain(others));
    Ok(data)
}

/// Samples of which some are held out for testing: of each class alike, picked by their pixels.
fn kept(place: &str, all: Split, options: &ReadOptions) -> Result<(Split, Split, Option<String>)> {
    if options.tests_alone {
        let said = format!("{place} has no test part: all of it is evaluated");
        return Ok((all.chosen(&[0])?, all, Some(said)));
    }
    let by_class = all.positions() == 1 && all.column(LABEL).is_some();
    let labels = if by_class { all.labels() } else { vec![0; all.count] };
    let image = all.image_bytes();
    let key = |n: usize| (crc32fast::hash(&all.pixels()[n * image..(n + 1) * image]), n);
    let kept = if options.train_alone { one_of(all.count) } else { held_out(&labels, key) };
    let members = |part: bool| (0..all.count).filter(|n| kept[*n] == part).collect::<Vec<_>>();
    let (train, test) = (members(false), members(true));
    if train.is_empty() || test.is_empty() {
        let found = all.count;
        let wanted = "expected at least two of a class, to hold one out for testing";
        return Err(Error::input(format!("{place}: found {}, {wanted}", counted(found, "sample"))));
    }
    let test = all.chosen(&test)?;
    match options.train_alone {
        true => Ok((all, test, None)),
        false => {
            let said =
                format!("{place} has no test part: one sample in {HELD_OUT} of each class is held out for testing");
            Ok((all.chosen(&train)?, test, Some(said)))
        }
    }
}

impl Archive<'_> {
    /// The part whose arrays have the first of these names that are there.
    fn part(&mut self, names: &[[&str; 2]]) -> Result<Option<Split>> {
        let has = |zip: &ZipArchive<_>, name: &str| zip.index_for_name(&format!("{name}.npy")).is_some();
        let both = names.iter().find(|[images, labels]| has(&self.zip, images) && has(&self.zip, labels));
        let Some([images, labels]) = both else {
            // Images without labels are a mistake, and no part that is not there.
            return match names.iter().find(|[images, _]| has(&self.zip, images)) {
                None => Ok(None),
                Some([images, labels]) => {
                    let shown = self.path.display();
                    Err(Error::input(format!("{shown}: found the array {images}, expected {labels} beside it")))
                }
            };
        };
        Ok(Some(split(self.array(images)?, self.array(labels)?, u64::MAX)?))
    }

    /// An array, unpacked. The size that the archive claims is a limit, and is not believed.
    fn array(&mut self, name: &str) -> Result<Source> {
        let shown = format!("{}: {name}", self.path.display());
        let fault = |e: &dyn std::fmt::Display| Error::input(format!("{shown} cannot be read: {e}"));
        let file = self.zip.by_name(&format!("{name}.npy")).map_err(|e| fault(&e))?;
        let bytes = file.size();
        crate::memory::check_free(bytes, &format!("{shown}: its contents take"), "fewer samples may fit")?;
        let mut unpacked = Vec::new();
        // One more, so that the end is reached, where the checksum is held to the bytes.
        file.take(bytes.saturating_add(1)).read_to_end(&mut unpacked).map_err(|e| fault(&e))?;
        Ok(Source::of(unpacked, shown.into()))
    }
}
