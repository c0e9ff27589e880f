//! What a path given as `--data` holds: recognised by the names of files, before any of them is read.

use crate::data::region::Region;
use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

/// The forms that a data set may have on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The files of CIFAR-10's binary version.
    Cifar10,
    /// Four NumPy arrays.
    Npy,
    /// Four IDX files.
    Idx,
    /// A folder of images a class.
    Images,
    /// One file of labels and pixels as text, or two.
    Csv,
}

/// In the order in which they are looked for: the kind, its name, and what it is recognised by.
const KINDS: [(Kind, &str, &str); 5] = [
    (Kind::Cifar10, "CIFAR-10 binary", "data_batch_1.bin to data_batch_5.bin and test_batch.bin"),
    (Kind::Npy, "NumPy arrays", "x_train.npy, y_train.npy, x_test.npy and y_test.npy"),
    (Kind::Idx, "IDX", "four IDX files (*train*images*, *train*labels*, *test*images*, *test*labels*)"),
    (Kind::Images, "folders of images", "folders of images, one a class"),
    (Kind::Csv, "CSV", "*train*.csv and *test*.csv"),
];

/// How many of a folder's entries an error names.
const NAMED: usize = 5;

impl Kind {
    /// The name of the form, such as `CIFAR-10 binary`.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// The form of what is at `path`: a file is CSV, a folder the first of the kinds that its entries fit.
    ///
    /// # Errors
    /// [`Error::Input`] where there is nothing that can be read, or nothing that is known.
    pub fn of(path: &Path) -> Result<Kind> {
        let shown = path.display();
        if path.is_file() {
            return match has_extension(path, "csv") {
                true => Ok(Kind::Csv),
                false => Err(Error::input(format!("data {shown} is a file: expected FILE.csv, or {}", expected()))),
            };
        }
        let fault = |e: std::io::Error| {
            Error::input(format!("data folder {shown} cannot be read ({e}): expected {}", expected()))
        };
        let entries = fs::read_dir(path).map_err(fault)?.collect::<std::io::Result<Vec<_>>>().map_err(fault)?;
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in entries.iter().map(fs::DirEntry::path).filter(|path| !is_hidden(path)) {
            if entry.is_dir() { &mut folders } else { &mut files }.push(file_name(&entry));
        }
        files.sort();
        folders.sort();
        let fits = |kind: Kind| match kind {
            Kind::Cifar10 => {
                files.iter().any(|name| crate::data::formats::cifar::FILES.contains(&&**name))
                    || folders.iter().any(|name| name == crate::data::formats::cifar::FOLDER)
            }
            Kind::Npy => files.iter().any(|name| crate::data::formats::npy::FILES.contains(&&**name)),
            Kind::Idx => files.iter().any(|name| is_idx(name)),
            Kind::Images => !folders.is_empty(),
            Kind::Csv => files.iter().any(|name| is_csv(name, &["train", "test"])),
        };
        KINDS.iter().map(|(kind, ..)| *kind).find(|&kind| fits(kind)).ok_or_else(|| {
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

/// All that is looked for, in its order.
pub(super) fn expected() -> String {
    let kinds: Vec<String> = KINDS.iter().map(|(_, _, by)| (*by).to_owned()).collect();
    format!("`{}`, or a folder with {}", crate::data::BUILT_IN, kinds.join("; or "))
}

/// Whether a file in a folder is likely one of four IDX files.
fn is_idx(name: &str) -> bool {
    let name = name.to_lowercase();
    let other = [".csv", ".txt", ".json", ".npy"].iter().any(|end| name.ends_with(end));
    !other && (name.contains("images") || name.contains("labels"))
}

/// Whether a file is CSV, with one of `parts` in its name.
pub(super) fn is_csv(name: &str, parts: &[&str]) -> bool {
    let name = name.to_lowercase();
    name.ends_with(".csv") && parts.iter().any(|part| name.contains(part))
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// The last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What systems leave behind, and people do not see.
pub(super) fn is_hidden(path: &Path) -> bool {
    let name = file_name(path);
    name.starts_with('.') || ["thumbs.db", "desktop.ini", "__macosx"].contains(&&*name.to_lowercase())
}

/// A file that is read from front to back, of known length.
pub(super) struct Source {
    file: File,
    path: PathBuf,
    /// Bytes that the file has.
    pub(super) bytes: u64,
}

impl Source {
    /// Opens an ordinary file; a pipe or a device has no length to check.
    pub(super) fn open(path: &Path) -> Result<Source> {
        let fault = |e: std::io::Error| Error::input(format!("{} cannot be read: {e}", path.display()));
        let about = fs::metadata(path).map_err(fault)?;
        if !about.is_file() {
            return Err(Error::input(format!("{} is no file that can be read, expected one", path.display())));
        }
        Ok(Source { file: File::open(path).map_err(fault)?, path: path.to_owned(), bytes: about.len() })
    }

    /// The next bytes, at most `most`; fewer where the file ends.
    pub(super) fn take(&mut self, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let fault = |e: std::io::Error| Error::input(format!("{} cannot be read: {e}", self.path.display()));
        (&mut self.file).take(most).read_to_end(&mut bytes).map_err(fault)?;
        Ok(bytes)
    }

    /// What comes next, to be read later.
    pub(super) fn region(mut self) -> Result<Region> {
        let start = self.file.stream_position();
        let start = start.map_err(|e| Error::input(format!("{} cannot be read: {e}", self.path.display())))?;
        Ok(Region::new(self.file, &self.path, start))
    }

    /// The next `count` bytes, which are the file's last: its length was checked, so another one has changed since.
    pub(super) fn rest(&mut self, count: u64) -> Result<Vec<u8>> {
        let shown = self.path.display();
        let room = crate::plan::human_bytes(count);
        let full = || Error::input(format!("{shown}: its {room} are more than this machine's memory"));
        crate::device::cpu::check_free(count, &format!("{shown}: its contents take"), "fewer samples may fit")?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(count).map_err(|_| full())?).map_err(|_| full())?;
        let fault = |e: std::io::Error| Error::input(format!("{shown} cannot be read: {e}"));
        (&mut self.file).take(count).read_to_end(&mut bytes).map_err(fault)?;
        if bytes.len() as u64 != count {
            return Err(Error::input(format!(
                "{shown} changed while it was read: found {} of {count} bytes",
                bytes.len()
            )));
        }
        Ok(bytes)
    }
}
