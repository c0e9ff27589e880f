//! Which picture goes with which mask: the folders of the parts, and files of one stem.

use crate::data::formats::missing::{MASK_FOLDERS, PICTURE_FOLDERS};
use crate::data::formats::parts::{TEST, TRAIN, VALIDATION, named};
use crate::data::formats::pictures::{entries, folders};
use crate::data::source::file_name;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Ends of a mask's stem that its picture's may be without.
const ENDINGS: [&str; 5] = ["_mask", "-mask", "_seg", "_label", "_gt"];

/// A picture and its mask.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) picture: PathBuf,
    pub(super) mask: PathBuf,
}

/// The pairs of a part, and why other files have no partner.
#[derive(Default)]
pub(super) struct Part {
    pub(super) pairs: Vec<Pair>,
    pub(super) alone: Vec<String>,
}

/// The parts of a data set: to train on, to validate on, to test on.
pub(super) type Parts = [Option<Part>; 3];

/// Finds the parts: pictures and masks in the folder itself, in each of its parts, or parts in both of its folders.
///
/// # Errors
/// [`Error::Input`] if a part has one of the two alone, there is nothing to train on, and where the masks are texts.
pub(super) fn parts(folder: &Path) -> Result<Parts> {
    let shown = folder.display();
    let top = folders(folder)?;
    let names = [TRAIN, VALIDATION, TEST];
    let roots: [Option<[PathBuf; 2]>; 3] = match both(&top) {
        Some([pictures, masks]) => {
            let (within, beside) = (folders(&pictures)?, folders(&masks)?);
            match names.map(|names| (named(&within, names), named(&beside, names))) {
                [(None, _), (None, _), (None, _)] => [Some([pictures, masks]), None, None],
                parts => {
                    for (pictures, masks) in parts {
                        if let (Some(one), None) | (None, Some(one)) = (pictures, masks) {
                            let wanted = "expected a folder of that name for the pictures and one for their masks";
                            return Err(Error::input(format!("{}: found it alone, {wanted}", one.display())));
                        }
                    }
                    parts.map(|(pictures, masks)| Some([pictures?.clone(), masks?.clone()]))
                }
            }
        }
        None => {
            let mut roots = [None, None, None];
            for (root, names) in roots.iter_mut().zip(names) {
                let Some(part) = named(&top, names) else { continue };
                let wanted = "expected a folder images and a folder masks in it";
                let missing = || Error::input(format!("{}: {wanted}", part.display()));
                *root = Some(both(&folders(part)?).ok_or_else(missing)?);
            }
            roots
        }
    };
    if roots[0].is_none() {
        return Err(Error::input(format!("data folder {shown}: found no part to train on, expected a folder train")));
    }
    let mut parts = [None, None, None];
    for (part, root) in parts.iter_mut().zip(roots) {
        *part = root.map(|[pictures, masks]| pairs(&pictures, &masks)).transpose()?;
    }
    Ok(parts)
}

/// The folder of pictures and that of masks among these.
fn both(folders: &[PathBuf]) -> Option<[PathBuf; 2]> {
    Some([named(folders, &PICTURE_FOLDERS)?.clone(), named(folders, &MASK_FOLDERS)?.clone()])
}

/// The pairs of two folders: files of one name except for the extension, or for one of [`ENDINGS`] of the mask.
fn pairs(pictures: &Path, masks: &Path) -> Result<Part> {
    let mut part = Part::default();
    let [mut of_pictures, mut of_masks] = [BTreeMap::new(), BTreeMap::new()];
    files(pictures, String::new(), &mut of_pictures, &mut part.alone)?;
    files(masks, String::new(), &mut of_masks, &mut part.alone)?;
    let is_text = |path: &PathBuf| {
        path.extension().is_some_and(|end| ["txt", "json", "xml"].iter().any(|text| end.eq_ignore_ascii_case(text)))
    };
    if let (Some(first), true) = (of_masks.values().next(), of_masks.values().all(is_text)) {
        return Err(Error::input(format!(
            "{}: found texts, as of boxes or polygons, expected masks as pictures, a PNG for each image",
            first.display()
        )));
    }
    for (stem, picture) in of_pictures {
        let ends = std::iter::once("").chain(ENDINGS);
        match ends.into_iter().find_map(|end| of_masks.remove(&format!("{stem}{end}"))) {
            Some(mask) => part.pairs.push(Pair { picture, mask }),
            None => part.alone.push(format!("{}: found no mask {stem}.png in {}", picture.display(), masks.display())),
        }
    }
    let orphan =
        |mask: &PathBuf| format!("{}: found no picture of that name in {}", mask.display(), pictures.display());
    part.alone.extend(of_masks.values().map(orphan));
    Ok(part)
}

/// The files of a folder and of those in it, by their path in it without an extension.
fn files(folder: &Path, within: String, found: &mut BTreeMap<String, PathBuf>, alone: &mut Vec<String>) -> Result<()> {
    for entry in entries(folder)? {
        let path = entry.path();
        // A link to a folder is not followed: it may lead round in a circle.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files(&path, format!("{within}{}/", file_name(&path)), found, alone)?;
            continue;
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if let Some(other) = found.get(&format!("{within}{stem}")) {
            alone.push(format!("{}: found {} of the same name", path.display(), file_name(other)));
            continue;
        }
        found.insert(format!("{within}{stem}"), path);
    }
    Ok(())
}
