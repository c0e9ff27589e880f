//! Formats of data sets, one per file: how each is recognised by file names, and how it is read.

pub mod cifar;
#[cfg(feature = "csv")]
pub mod csv;
mod documents;
pub mod emnist;
#[cfg(feature = "images")]
pub mod folder;
mod held_out;
pub mod idx;
#[cfg(feature = "images")]
mod labelled;
#[cfg(feature = "csv")]
mod lines;
#[cfg(all(feature = "csv", feature = "images"))]
mod listed;
#[cfg(feature = "images")]
pub mod masks;
mod missing;
#[cfg(feature = "mnist-data")]
pub mod mnist;
pub(in crate::data) mod names;
pub mod npy;
mod pairs;
pub(in crate::data) mod parts;
#[cfg(feature = "images")]
pub(crate) mod pictures;
#[cfg(feature = "csv")]
mod records;
#[cfg(feature = "csv")]
pub mod table;
pub mod text;
pub mod texts;

use crate::data::source::{file_name, is_hidden};
use crate::data::{Dataset, ReadOptions};
use crate::error::{Error, Result};
#[cfg(not(feature = "csv"))]
use missing::csv;
#[cfg(not(feature = "images"))]
use missing::{folder, masks};
use std::fs;
use std::path::Path;

/// A form that a data set may have on disk.
#[derive(Clone, Copy)]
pub struct Format {
    /// Its name, such as `CIFAR-10 binary`.
    pub name: &'static str,
    /// The files by which it is recognised, for messages that say what was expected.
    pub by: &'static str,
    /// Whether a folder of these entries, or a file given itself, is in this format.
    pub recognise: fn(&Entries) -> bool,
    /// Reads the folder or the file.
    pub read: fn(&Path, &ReadOptions) -> Result<Dataset>,
}

/// Every format, in the order in which they are looked for.
pub const ALL: [Format; 9] = [
    cifar::FORMAT,
    npy::FORMAT,
    npy::ARCHIVE,
    idx::FORMAT,
    masks::FORMAT,
    folder::FORMAT,
    csv::FORMAT,
    texts::FORMAT,
    text::FORMAT,
];

/// The names of a folder's entries, hidden ones left out, or that of a file given itself.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// Whether this is a single file.
    pub is_file: bool,
    /// Names of files, in order.
    pub files: Vec<String>,
    /// Names of folders, in order.
    pub folders: Vec<String>,
    /// Names of the folders in those that are called as parts of a set are, such as `train/images`.
    pub inner: Vec<String>,
}

/// How many of a folder's entries an error names.
const NAMED: usize = 5;

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Format").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Format {
    /// The format of what is at `path`: the first that recognises it.
    ///
    /// # Errors
    /// [`Error::Input`] if there is nothing that can be read, or nothing that is known.
    pub fn of(path: &Path) -> Result<Format> {
        let shown = path.display();
        let entries = Entries::of(path)?;
        ALL.into_iter().find(|format| (format.recognise)(&entries)).ok_or_else(|| {
            if entries.is_file {
                return Error::input(format!(
                    "data {shown} is a file: expected FILE.csv, FILE.npz, FILE.tsv, FILE.txt, or {}",
                    expected()
                ));
            }
            let files = &entries.files;
            let named = files.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            let found = match files.len() {
                0 => "it is empty".to_owned(),
                1..=NAMED => format!("found {named}"),
                count => format!("found {named} and {} more", count - NAMED),
            };
            Error::input(format!("data folder {shown}: {found}, expected {}", expected()))
        })
    }
}

impl Entries {
    fn of(path: &Path) -> Result<Entries> {
        if path.is_file() {
            return Ok(Entries { is_file: true, files: vec![file_name(path)], ..Entries::default() });
        }
        let fault = |e: std::io::Error| {
            let shown = path.display();
            match e.kind() {
                std::io::ErrorKind::NotFound => Error::input(format!(
                    "data {shown}: found no such file or folder, expected the path of the data, or `mnist`"
                )),
                _ => Error::input(format!("data folder {shown} cannot be read: {e}")),
            }
        };
        let listed =
            |path: &Path| fs::read_dir(path).map_err(fault)?.collect::<std::io::Result<Vec<_>>>().map_err(fault);
        let mut entries = Entries::default();
        for entry in listed(path)?.iter().map(fs::DirEntry::path).filter(|path| !is_hidden(path)) {
            let name = file_name(&entry);
            if entry.is_dir() && parts::is_part(&name) {
                let within = listed(&entry)?;
                let folders = within.iter().map(fs::DirEntry::path).filter(|path| path.is_dir());
                entries.inner.extend(folders.map(|path| format!("{name}/{}", file_name(&path))));
            }
            if entry.is_dir() { &mut entries.folders } else { &mut entries.files }.push(name);
        }
        entries.files.sort();
        entries.folders.sort();
        Ok(entries)
    }

    /// Whether this is a folder with a file for which `fits` holds.
    pub fn any(&self, fits: impl Fn(&str) -> bool) -> bool {
        !self.is_file && self.files.iter().any(|name| fits(name))
    }
}

/// All that is looked for, in its order.
pub(in crate::data) fn expected() -> String {
    let kinds: Vec<&str> = ALL.iter().map(|format| format.by).collect();
    format!("`{}`, or a folder with {}", crate::data::BUILT_IN, kinds.join("; or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One table of names and of the format that they are recognised as.
    #[test]
    fn formats_are_recognised_in_their_order() {
        let of = |files: &[&str], folders: &[&str], is_file| {
            let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
            let (inner, folders) = names(folders).into_iter().partition(|name| name.contains('/'));
            let entries = Entries { is_file, files: names(files), folders, inner };
            ALL.into_iter().find(|format| (format.recognise)(&entries)).map(|format| format.name)
        };
        const IDX: &[&str] =
            &["train-images.gz", "train-labels.gz", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
        for (files, folders, expected) in [
            (&["data_batch_3.bin"][..], &[][..], Some("CIFAR-10 binary")),
            (&[], &["cifar-10-batches-bin"], Some("CIFAR-10 binary")),
            (&["test_batch.bin", "x_train.npy"], &["a"], Some("CIFAR-10 binary")),
            (&["y_test.npy", "train-images.gz"], &["a"], Some("NumPy arrays")),
            (IDX, &["a"], Some("IDX")),
            (&["Train-LABELS"], &[], Some("IDX")),
            (&["labels.txt", "images.csv", "labels.json"], &[], None),
            (&["labels.txt", "train.csv"], &["cats", "dogs"], Some("folders of images")),
            (&["classes.txt"], &["Images", "masks"], Some("pictures with masks")),
            (&[], &["JPEGImages", "SegmentationClass", "a"], Some("pictures with masks")),
            (&[], &["train", "val", "train/images", "train/masks"], Some("pictures with masks")),
            (&[], &["train", "val", "train/images", "val/masks"], Some("folders of images")),
            (&[], &["images", "a"], Some("folders of images")),
            (&["my-Train.CSV", "readme"], &[], Some("CSV")),
            (&["digits.csv"], &[], None),
            (&["z.npy"], &[], None),
            (&[], &[], None),
        ] {
            assert_eq!(of(files, folders, false), expected, "{files:?} {folders:?}");
        }
        assert_eq!(of(&["digits.CSV"], &[], true), Some("CSV"), "a file itself");
        assert_eq!(of(&["digits.npz"], &[], true), Some("NumPy archive"), "a file itself");
        assert_eq!(of(&["input.TXT"], &[], true), Some("text"), "a file itself");
        assert_eq!(of(&["val.txt", "train.txt"], &[], false), Some("text"));
        for name in ["x_train.npy", "data_batch_1.bin", "train-images"] {
            assert_eq!(of(&[name], &[], true), None, "{name} itself");
        }
    }
}
