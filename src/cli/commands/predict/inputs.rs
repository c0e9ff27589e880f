//! The pictures that `wgrad predict` is given: folders become their files, and each is read and prepared.

use crate::cli::commands::predict::Preparation;
use crate::data::Prepare;
use crate::data::formats::pictures::files_under;
use crate::data::pictures::picture::Picture;
use crate::data::pictures::prepare::{Prepared, as_it_is, prepare};
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// The pictures named, where a folder stands for all files under it, in the order of their paths.
///
/// # Errors
/// [`Error::Input`] for a folder that cannot be read, and for one without files.
pub(super) fn expanded(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for path in given {
        if !path.is_dir() {
            paths.push(path.clone());
            continue;
        }
        let mut files = files_under(path)?;
        if files.is_empty() {
            return Err(Error::input(format!("{}: found no files in this folder, expected pictures", path.display())));
        }
        files.sort();
        paths.extend(files);
    }
    Ok(paths)
}

/// Pictures with their paths, and why others cannot be used.
pub(super) type Read<'a> = (Vec<(&'a PathBuf, Prepared)>, Vec<String>);

/// The pictures that can be used, with their paths, and why the others cannot.
///
/// # Errors
/// [`Error::Failed`] if something else than a picture is at fault.
pub(super) fn read_all(paths: &[PathBuf], input: [usize; 3], how: Preparation) -> Result<Read<'_>> {
    let found: Vec<Result<Prepared>> = paths.par_iter().map(|path| read(path, input, how)).collect();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (path, found) in paths.iter().zip(found) {
        match found {
            Ok(prepared) => good.push((path, prepared)),
            Err(Error::Input(why)) => bad.push(why),
            Err(error) => return Err(error),
        }
    }
    Ok((good, bad))
}

fn read(path: &Path, input: [usize; 3], how: Preparation) -> Result<Prepared> {
    let picture = Picture::open(path)?;
    let prepared = match how {
        Preparation::Digits => prepare(&picture, input, Prepare::Digits),
        Preparation::Resize => prepare(&picture, input, Prepare::Resize),
        Preparation::Crop => prepare(&picture, input, Prepare::Crop),
        Preparation::Pad => prepare(&picture, input, Prepare::Pad),
        Preparation::None => as_it_is(&picture, input),
    };
    prepared.map_err(|e| crate::error::in_context(&path.display().to_string(), e))
}
