//! Pictures of labels a pixel: a mask in distinct colours, and a sheet of input, truth and prediction.

use crate::data::pictures::prepare::Prepared;
use crate::data::{IGNORED, Split};
use crate::error::Result;

/// Pixels between images, and round all of them.
const GAP: usize = 6;
/// Images are made so many times larger that their longer side has at least so many pixels.
const SIDE: usize = 96;
/// The most samples of a sheet.
pub const SAMPLES: usize = 8;
/// The paper.
const PAPER: [u8; 3] = [232; 3];

/// The colours of the classes, told apart by eye (Sasha Trubetskoy's list); the first, which is background, is black.
const COLOURS: [[u8; 3]; 20] = [
    [0, 0, 0],
    [230, 25, 75],
    [60, 180, 75],
    [255, 225, 25],
    [0, 130, 200],
    [245, 130, 48],
    [145, 30, 180],
    [70, 240, 240],
    [240, 50, 230],
    [210, 245, 60],
    [250, 190, 212],
    [0, 128, 128],
    [220, 190, 255],
    [170, 110, 40],
    [255, 250, 200],
    [128, 0, 0],
    [170, 255, 195],
    [128, 128, 0],
    [255, 215, 180],
    [0, 0, 128],
];

/// The colour of a class; beyond the list it is worked out from the number. What is ignored is the paper.
pub fn colour(class: u32) -> [u8; 3] {
    if class == IGNORED {
        return PAPER;
    }
    COLOURS.get(class as usize).copied().unwrap_or_else(|| {
        let hash = class.wrapping_mul(2_654_435_761);
        [8, 16, 24].map(|shift| 64 + (hash >> shift) as u8 / 4 * 3)
    })
}

/// A mask as a PNG file.
///
/// # Errors
/// [`crate::Error::Failed`] where the PNG cannot be made.
pub fn png(mask: &[u32], [height, width]: [usize; 2]) -> Result<Vec<u8>> {
    let pixels = mask.iter().flat_map(|class| colour(*class)).collect();
    Prepared { pixels, shape: [height, width, 3], how: String::new() }.to_png()
}

/// A sheet as a PNG file: a row a sample, with the image, its labels and the predicted ones from left to right.
///
/// # Errors
/// As [`png`].
pub fn sheet(split: &Split, predicted: &[u32]) -> Result<Vec<u8>> {
    let [height, width, channels] = split.shape();
    let samples = split.count.min(SAMPLES).min(predicted.len() / split.positions().max(1));
    let times = SIDE.div_ceil(height.max(width)).max(1);
    let (rows, columns) = (height * times, width * times);
    let (sheet_height, sheet_width) = (samples * (rows + GAP) + GAP, 3 * (columns + GAP) + GAP);
    let mut sheet: Vec<u8> = PAPER.repeat(sheet_height * sheet_width);
    let mut paint = |sample: usize, column: usize, colour: &dyn Fn(usize) -> [u8; 3]| {
        let (top, left) = (GAP + sample * (rows + GAP), GAP + column * (columns + GAP));
        for y in 0..rows {
            for x in 0..columns {
                let to = ((top + y) * sheet_width + left + x) * 3;
                sheet[to..to + 3].copy_from_slice(&colour(y / times * width + x / times));
            }
        }
    };
    for sample in 0..samples {
        let image = split.image(sample)?;
        let shown = |p: usize| {
            let pixel = &image[p * channels..][..channels];
            if channels >= 3 { [pixel[0], pixel[1], pixel[2]] } else { [pixel[0]; 3] }
        };
        let (answer, truth) = (&predicted[sample * split.positions()..], split.labels_of(sample));
        paint(sample, 0, &shown);
        paint(sample, 1, &|p| colour(truth[p]));
        paint(sample, 2, &|p| colour(answer[p]));
    }
    Prepared { pixels: sheet, shape: [sheet_height, sheet_width, 3], how: String::new() }.to_png()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_distinct() {
        let all: std::collections::BTreeSet<[u8; 3]> = (0..=255).map(colour).collect();
        assert_eq!(all.len(), 256);
    }

    #[test]
    fn a_sheet_has_three_pictures_a_row() {
        let labels = vec![0u8, 1, 2, 1, 1, 0];
        let split = Split::masked([1, 3, 1], vec![0, 50, 250, 9, 8, 7], labels.clone()).unwrap();
        let sheet =
            crate::data::pictures::picture::Picture::decode(&sheet(&split, &[0, 2, 2, 1, 1, 0]).unwrap()).unwrap();
        let times = SIDE.div_ceil(3);
        assert_eq!((sheet.width(), sheet.height()), (3 * (3 * times + GAP) + GAP, 2 * (times + GAP) + GAP));
        let at = |column: usize, p: usize| {
            let (x, y) = (GAP + column * (3 * times + GAP) + p * times, GAP);
            sheet.rgba()[(y * sheet.width() + x) * 4..][..3].to_vec()
        };
        assert_eq!([at(0, 1), at(1, 1), at(2, 1)], [vec![50; 3], colour(1).into(), colour(2).into()]);
    }
}
