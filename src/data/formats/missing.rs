//! Formats whose readers this build does not have: they are recognised all the same, and refused by name.

#[cfg(any(not(feature = "csv"), not(feature = "images")))]
use crate::data::formats::Format;
#[cfg(any(not(feature = "csv"), not(feature = "images")))]
use crate::error::Error;

/// CSV without its reader.
#[cfg(not(feature = "csv"))]
pub(super) mod csv {
    use super::*;

    pub(in crate::data) const FORMAT: Format = Format {
        name: super::CSV.0,
        by: super::CSV.1,
        recognise: super::is_csv,
        read: |path, _| {
            let path = path.display();
            Err(Error::input(format!("data {path} is CSV, which this build cannot read (feature csv)")))
        },
    };
}

/// Folders of images without a decoder.
#[cfg(not(feature = "images"))]
pub(super) mod folder {
    use super::*;

    pub(in crate::data) const FORMAT: Format = Format {
        name: super::IMAGES.0,
        by: super::IMAGES.1,
        recognise: super::has_folders,
        read: |path, _| {
            let path = path.display();
            Err(Error::input(format!("{path} holds images, which this build cannot read (feature images)")))
        },
    };
}

use crate::data::formats::Entries;

/// The name of CSV, and what it is recognised by.
pub(super) const CSV: (&str, &str) = ("CSV", "*train*.csv and *test*.csv");
/// The same of folders of images.
pub(super) const IMAGES: (&str, &str) = ("folders of images", "folders of images, one a class");

/// Whether these are CSV: a file itself, or one whose name says that it is to train or to test on.
pub(super) fn is_csv(entries: &Entries) -> bool {
    let single = entries.is_file && entries.files.iter().any(|name| name.to_lowercase().ends_with(".csv"));
    single || entries.any(|name| is_part(name, &["train", "test"]))
}

/// Whether a file is CSV, with one of `parts` in its name.
pub(super) fn is_part(name: &str, parts: &[&str]) -> bool {
    let name = name.to_lowercase();
    name.ends_with(".csv") && parts.iter().any(|part| name.contains(part))
}

/// Whether there are folders, which then are classes.
pub(super) fn has_folders(entries: &Entries) -> bool {
    !entries.folders.is_empty()
}
