//! Contact sheets as PNG files: a row for each class with some of its training images, or images with lines of text below each.

use crate::data::Dataset;
use crate::data::pictures::lettering::{Canvas, LINE, width_of};
use crate::data::pictures::prepare::Prepared;
use crate::error::{Error, Result};
use std::collections::BTreeSet;

/// Images of a row.
pub const COLUMNS: usize = 12;
/// Pixels between images, and round all of them.
const GAP: usize = 4;
/// Small images are enlarged by a whole factor until their longer side has at least this many pixels.
const SIDE: usize = 48;
/// Large images are subsampled by a whole factor, so that the longer side has at most this many pixels.
const MOST: usize = 96;
/// The paper.
const PAPER: u8 = 232;

/// The sheet as a PNG: classes from top to bottom, of each the first images that are spread over the training set.
///
/// # Errors
/// [`Error::Failed`] if the PNG cannot be made, [`Error::Input`] if an image cannot be read any more.
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

/// An image of a sheet and the lines below it.
#[derive(Clone, Debug)]
pub struct Cell<'a> {
    /// [height, width, channels], 0–255.
    pub pixels: &'a [u8],
    /// The lines below it; lines that are wider than the cell keep their ends.
    pub lines: Vec<String>,
}

/// The letters that a line of a cell holds.
pub const LETTERS: usize = 22;
/// The cells of a row.
const CELLS: usize = 6;

/// Images of [height, width, channels] with lines of text below them, as a PNG.
///
/// # Errors
/// [`Error::Failed`] if the PNG cannot be made.
pub fn named([height, width, channels]: [usize; 3], cells: &[Cell]) -> Result<Vec<u8>> {
    let longest = height.max(width).max(1);
    let (times, step) = (SIDE.div_ceil(longest).max(1), longest.div_ceil(MOST));
    let [rows, columns] = [height, width].map(|side| side.div_ceil(step) * times);
    let lines = cells.iter().map(|cell| cell.lines.len()).max().unwrap_or(0);
    let wide = columns.max(LETTERS * width_of(" ")) + 2 * GAP;
    let tall = rows + lines * LINE + 3 * GAP;
    let across = cells.len().clamp(1, CELLS);
    let size = [wide.checked_mul(across), tall.checked_mul(cells.len().div_ceil(CELLS))];
    let [Some(full), Some(deep)] = size else { return Err(Error::failed("the contact sheet is larger than memory")) };
    let mut canvas = Canvas::new(full, deep);
    for (at, cell) in cells.iter().enumerate() {
        let (left, top) = (at % CELLS * wide + GAP, at / CELLS * tall + GAP);
        for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
            let from = (y / times * step * width + x / times * step) * channels;
            let of = |channel: usize| cell.pixels.get(from + channel).copied().unwrap_or_default();
            let colour = if channels >= 3 { [of(0), of(1), of(2)] } else { [of(0); 3] };
            canvas.set(left + x, top + y, colour);
        }
        for (n, line) in cell.lines.iter().enumerate() {
            let letters = line.chars().count();
            let line = match letters > LETTERS {
                true => std::iter::once('~').chain(line.chars().skip(letters + 1 - LETTERS)).collect(),
                false => line.clone(),
            };
            canvas.text([left, top + rows + GAP + n * LINE], &line);
        }
    }
    canvas.into_png()
}

/// Images of [height, width, channels], row by row and at most [`COLUMNS`] in each, as a PNG.
///
/// # Errors
/// [`Error::Failed`] if the PNG cannot be made.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::pictures::picture::Picture;

    #[test]
    fn each_image_has_its_lines_below_it() {
        let images: Vec<Vec<u8>> = (0..7).map(|n| vec![n * 30; 4]).collect();
        let long = "a/very/long/name/of/a/file.png";
        let cells = |last: &str| {
            let lines = vec!["1 -> 2".to_owned(), last.to_owned()];
            let all: Vec<Cell> = images.iter().map(|pixels| Cell { pixels, lines: lines.clone() }).collect();
            Picture::decode(&named([2, 2, 1], &all).unwrap()).unwrap()
        };
        let sheet = cells(long);
        let (wide, tall) = (LETTERS * width_of(" ") + 2 * GAP, SIDE + 2 * LINE + 3 * GAP);
        assert_eq!((sheet.width(), sheet.height()), (CELLS * wide, 2 * tall));
        let at = |sheet: &Picture, x: usize, y: usize| sheet.rgba()[(y * sheet.width() + x) * 4];
        // The second image of the first row, and the one of the second.
        assert_eq!([at(&sheet, wide + GAP, GAP), at(&sheet, GAP, tall + GAP)], [30, 180]);
        let inked = |sheet: &Picture, line: usize| {
            let top = GAP + SIDE + GAP + line * LINE;
            (top..top + LINE)
                .flat_map(|y| (0..wide).map(move |x| (x, y)))
                .filter(|(x, y)| at(sheet, *x, *y) < 100)
                .count()
        };
        assert!(inked(&sheet, 0) > 20 && inked(&sheet, 1) > 100);
        assert_eq!(inked(&cells(""), 1), 0);
        // A line that is too long keeps its end.
        assert_eq!(inked(&sheet, 1), inked(&cells("~ng/name/of/a/file.png"), 1));
    }
}
