//! Formats whose readers this build lacks: they are recognised, and refused by name.

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

/// Pictures with masks without a decoder.
#[cfg(not(feature = "images"))]
pub(super) mod masks {
    use super::*;

    pub(in crate::data) const FORMAT: Format = Format {
        name: super::MASKS.0,
        by: super::MASKS.1,
        recognise: super::has_masks,
        read: super::folder::FORMAT.read,
    };
}

use crate::data::formats::Entries;
use crate::data::formats::parts::is_part as is_part_of_a_set;

/// The name of CSV, and what it is recognised by.
pub(super) const CSV: (&str, &str) = ("CSV", "*train*.csv and *test*.csv");
/// The same of folders of images.
pub(super) const IMAGES: (&str, &str) = ("folders of images", "folders of images, one per class");

/// The same of pictures with masks.
pub(super) const MASKS: (&str, &str) = ("pictures with masks", "images and masks, two folders of the same file names");
/// The possible names of the folder of pictures, the most likely first.
pub(super) const PICTURE_FOLDERS: [&str; 5] = ["images", "image", "imgs", "img", "JPEGImages"];
/// The possible names of the folder of masks.
pub(super) const MASK_FOLDERS: [&str; 7] =
    ["masks", "mask", "SegmentationClass", "labels", "label", "annotations", "gt"];

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

/// Whether there is a folder of pictures and one of masks beside it, at the top or in a part.
pub(super) fn has_masks(entries: &Entries) -> bool {
    let both = |within: &str| {
        let any = |names: &[&str]| {
            let mut all = entries.folders.iter().chain(&entries.inner).filter_map(|name| name.strip_prefix(within));
            all.any(|name| names.iter().any(|known| known.eq_ignore_ascii_case(name)))
        };
        any(&PICTURE_FOLDERS) && any(&MASK_FOLDERS)
    };
    both("") || entries.folders.iter().filter(|name| is_part_of_a_set(name)).any(|part| both(&format!("{part}/")))
}

/// Whether there are folders, which then are classes.
pub(super) fn has_folders(entries: &Entries) -> bool {
    !entries.folders.is_empty()
}
