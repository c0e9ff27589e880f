//! A contact sheet: a row a class, so many of its training images side by side, as a PNG file.

use crate::data::Dataset;
use crate::data::pictures::prepare::Prepared;
use crate::error::{Error, Result};
use std::collections::BTreeSet;

/// Images of a row.
pub const COLUMNS: usize = 12;
/// Pixels between images, and round all of them.
const GAP: usize = 4;
/// Small images are made so many times larger that their longer side has at least so many pixels.
const SIDE: usize = 48;
/// Of large images only every so many-th pixel is taken, so that the longer side has at most so many.
const MOST: usize = 96;
/// The paper.
const PAPER: u8 = 232;

/// The sheet as a PNG: classes from top to bottom, of each the first images that are spread over the training set.
///
/// # Errors
/// [`Error::Failed`] where the PNG cannot be made, [`Error::Input`] where an image cannot be read any more.
pub fn sheet(data: &Dataset) -> Result<Vec<u8>> {
    let mut of_class: Vec<Vec<usize>> = vec![Vec::new(); data.classes];
    for n in 0..data.train.count {
        // An image is shown once for each class, however many of its pixels are of it; ignored labels are of none.
        let classes: BTreeSet<u32> = data.train.labels_of(n).into_iter().collect();
        classes
            .into_iter()
            .filter(|class| (*class as usize) < data.classes)
            .for_each(|class| of_class[class as usize].push(n));
    }
    // Spread over the set: neighbours, such as pictures of one camera, look alike.
    let row = |members: &Vec<usize>| {
        let shown = members.len().min(COLUMNS);
        let places = (0..shown).map(|place| members[place * members.len() / shown]);
        places.map(|n| data.train.image(n)).collect()
    };
    let rows = of_class.iter().map(row).collect::<Result<Vec<Vec<_>>>>()?;
    let rows: Vec<Vec<&[u8]>> = rows.iter().map(|row| row.iter().map(|image| &**image).collect()).collect();
    grid(data.train.shape(), &rows)
}

/// Images of [height, width, channels], row by row and at most [`COLUMNS`] in each, as a PNG.
///
/// # Errors
/// [`Error::Failed`] where the PNG cannot be made.
pub fn grid([height, width, channels]: [usize; 3], images: &[Vec<&[u8]>]) -> Result<Vec<u8>> {
    let longest = height.max(width);
    let (times, step) = (SIDE.div_ceil(longest).max(1), longest.div_ceil(MOST));
    let [rows, columns] = [height, width].map(|side| side.div_ceil(step) * times);
    let planes = if channels == 3 || channels == 4 { 3 } else { 1 };
    let sheet_width = COLUMNS * (columns + GAP) + GAP;
    let sheet_height = images.len() * (rows + GAP) + GAP;
    let room = sheet_width.checked_mul(sheet_height).and_then(|plane| plane.checked_mul(planes));
    let bytes = room.ok_or_else(|| Error::failed("the contact sheet is larger than memory"))?;
    let mut pixels = vec![PAPER; bytes];
    for (line, images) in images.iter().enumerate() {
        for (place, image) in images.iter().enumerate() {
            let (top, left) = (GAP + line * (rows + GAP), GAP + place * (columns + GAP));
            for y in 0..rows {
                for x in 0..columns {
                    let from = (y / times * step * width + x / times * step) * channels;
                    let to = ((top + y) * sheet_width + left + x) * planes;
                    pixels[to..to + planes].copy_from_slice(&image[from..from + planes]);
                }
            }
        }
    }
    Prepared { pixels, shape: [sheet_height, sheet_width, planes], how: String::new() }.to_png()
}
