//! Code shared by formats of picture files: folders, one size, one number of channels, and notices of files left out.

use crate::data::pictures::picture::Picture;
use crate::data::source::is_hidden;
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

/// Red, green and blue: what images of all kinds become first.
pub(in crate::data) const CHANNELS: usize = 3;

/// How many files that could not be used are named; the others are counted.
const NAMED: usize = 3;

/// The entries of a folder, by name.
///
/// # Errors
/// [`Error::Input`] if it cannot be read.
pub(super) fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    let fault = |e: std::io::Error| Error::input(format!("data folder {} cannot be read: {e}", folder.display()));
    let mut found: Vec<fs::DirEntry> =
        fs::read_dir(folder).map_err(fault)?.collect::<std::io::Result<_>>().map_err(fault)?;
    found.retain(|entry| !is_hidden(&entry.path()));
    found.sort_by_key(fs::DirEntry::file_name);
    Ok(found)
}

/// The folders in a folder, by name.
///
/// # Errors
/// As [`entries`].
pub(super) fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.iter().map(fs::DirEntry::path).filter(|path| path.is_dir()).collect())
}

/// The files in a folder and in those inside of it, hidden ones left out: of each folder by name, with the files of inner folders
/// after or between them.
///
/// # Errors
/// As [`entries`].
pub(crate) fn files_under(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in entries(&folder)? {
            // A link to a folder is not followed: it may lead round in a circle.
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => open.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    Ok(files)
}

/// The size that all readable images have.
///
/// # Errors
/// [`Error::Input`] if they have several, and where none can be read.
pub(super) fn common_size<'a>(place: &str, paths: impl Iterator<Item = &'a Path>) -> Result<[usize; 2]> {
    let paths: Vec<&Path> = paths.collect();
    let sizes: Vec<[usize; 2]> = paths.par_iter().filter_map(|path| Picture::size(path).ok()).collect();
    let (Some(least), Some(most)) = (sizes.iter().min(), sizes.iter().max()) else {
        return Err(Error::input(format!("{place}: found no readable image")));
    };
    match least == most {
        true => Ok(*least),
        false => Err(Error::input(format!(
            "{place}: found images of {}×{} to {}×{}, expected one size, or --image-size N to resize them",
            least[1], least[0], most[1], most[0]
        ))),
    }
}

/// The channels to which RGB images of all parts are converted: those requested, else 1 if all of them are grey.
///
/// # Errors
/// [`Error::Input`] if channels other than 1 and 3 are requested.
pub(super) fn channels(parts: &mut [&mut Vec<u8>], asked: Option<usize>) -> Result<usize> {
    let is_grey = |pixels: &[u8]| pixels.chunks_exact(CHANNELS).all(|p| p[0] == p[1] && p[1] == p[2]);
    let channels = number_of_channels(asked, || parts.iter().all(|pixels| is_grey(pixels)))?;
    if channels == 1 {
        parts.iter_mut().for_each(|pixels| grey(pixels));
    }
    Ok(channels)
}

/// The channels of images: those requested, else 1 if all of them are grey.
///
/// # Errors
/// [`Error::Input`] if channels other than 1 and 3 are requested.
pub(super) fn number_of_channels(asked: Option<usize>, are_grey: impl FnOnce() -> bool) -> Result<usize> {
    match asked {
        Some(channels @ (1 | CHANNELS)) => Ok(channels),
        Some(found) => Err(Error::input(format!("found {found} channels for images, expected 1 or {CHANNELS}"))),
        None if are_grey() => Ok(1),
        None => Ok(CHANNELS),
    }
}

/// RGB becomes grey in place: its luma (ITU-R BT.601), which of a grey pixel is its value.
pub(in crate::data) fn grey(pixels: &mut Vec<u8>) {
    let count = pixels.len() / CHANNELS;
    for n in 0..count {
        let [r, g, b] = [0, 1, 2].map(|c| u32::from(pixels[n * CHANNELS + c]));
        pixels[n] = ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8;
    }
    pixels.truncate(count);
    pixels.shrink_to_fit();
}

/// The notices about `all` files: why some of them are left out (`bad`), and the largest value of each that had 16 bits
/// a channel (`deep`).
///
/// # Errors
/// [`Error::Input`] if files cannot be used and that is not allowed.
pub(super) fn left_out(bad: &[String], deep: &[u16], all: usize, strict: bool) -> Result<Vec<String>> {
    let mut notices = Vec::new();
    if let Some(why) = bad.first() {
        let named = bad.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
        let more = if bad.len() > NAMED { format!("; and {} more", bad.len() - NAMED) } else { String::new() };
        if strict {
            return Err(Error::input(format!("{why} ({} of {all} files cannot be used)", bad.len())));
        }
        notices.push(format!("{} of {all} files cannot be used and are left out: {named}{more}", bad.len()));
    }
    if let Some(most) = deep.iter().max() {
        let count = deep.len();
        notices.push(format!(
            "{count} of {all} files have 16 bits per channel and are reduced to 8; the largest value is {most} of 65535"
        ));
    }
    Ok(notices)
}
