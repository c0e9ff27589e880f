//! The masks of the report page: pictures with their true and their predicted classes.

use crate::data::colours::colours;
use crate::data::{Dataset, IGNORED};
use crate::error::Result;
use crate::report::picture::{Picture, base64};
use serde::Serialize;

/// The most pictures.
const SAMPLES: usize = 6;
/// The longest side of a mask on the page, in pixels; larger ones are subsampled.
const SIDE: usize = 256;
/// The value for no class, and for a class that does not fit in a byte.
const NONE: u8 = u8::MAX;

/// Some pictures of the test set with their masks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MaskResults {
    /// Red, green and blue of each class, of at most 255.
    pub colours: Vec<[u8; 3]>,
    /// The pictures.
    pub samples: Vec<MaskSample>,
}

/// A picture with its masks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MaskSample {
    /// Its place in the test set, from 0.
    pub index: usize,
    /// Its name, where the data has names.
    pub name: Option<String>,
    /// The picture.
    pub picture: Picture,
    /// Columns of a mask.
    pub width: usize,
    /// Rows of a mask.
    pub height: usize,
    /// The true class of each pixel, a byte each in base64; 255 is none.
    pub truth: String,
    /// The predicted one.
    pub predicted: String,
    /// The share of its pixels of a class that are right.
    pub accuracy: Option<f64>,
}

/// The first pictures of the test set; `predicted` is the class of each pixel of it, [samples, height, width].
///
/// # Errors
/// [`crate::Error::Input`] if an image cannot be read any more.
pub fn results(data: &Dataset, predicted: &[u32]) -> Result<MaskResults> {
    let test = &data.test;
    let [height, width, _] = test.shape();
    let positions = test.positions();
    let step = height.max(width).div_ceil(SIDE).max(1);
    let [rows, columns] = [height, width].map(|side| side.div_ceil(step));
    let sample = |(index, predicted): (usize, &[u32])| {
        let truth = test.labels_of(index);
        let byte = |class: u32| u8::try_from(class).unwrap_or(NONE);
        let shown = |mask: &[u32]| {
            let at = |p: usize| mask[p / columns * step * width + p % columns * step];
            base64((0..rows * columns).map(|p| byte(at(p))).collect::<Vec<u8>>())
        };
        let counted = truth.iter().filter(|label| **label != IGNORED).count();
        let right = truth.iter().zip(predicted).filter(|(truth, found)| truth == found).count();
        Ok(MaskSample {
            index,
            name: test.name_of(index).map(String::from),
            picture: Picture::image(&test.image(index)?, test.shape()),
            width: columns,
            height: rows,
            truth: shown(&truth),
            predicted: shown(predicted),
            accuracy: (counted > 0).then(|| right as f64 / counted as f64),
        })
    };
    let samples = predicted.chunks(positions.max(1)).take(test.count.min(SAMPLES)).enumerate().map(sample);
    let colours = colours(&data.class_names).into_iter().take(NONE.into()).collect();
    Ok(MaskResults { colours, samples: samples.collect::<Result<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;
    use crate::data::colours::colour;

    #[test]
    fn masks_are_bytes_and_what_is_ignored_is_no_class() {
        let split = Split::masked([1, 2, 1], vec![9; 4], vec![1u8, 7, 0, 1]).unwrap().ignoring(7).unwrap();
        let data = Dataset::new("masks", split.clone(), split).unwrap();
        let found = results(&data, &[1, 0, 1, 1]).unwrap();
        assert_eq!(found.colours, [colour(0), colour(1)]);
        let [first, second] = &found.samples[..] else { panic!("two samples") };
        assert_eq!((&first.truth, &first.predicted), (&base64([1, NONE]), &base64([1, 0])));
        assert_eq!((first.accuracy, second.accuracy), (Some(1.0), Some(0.5)));
        assert_eq!((first.width, first.height, second.index), (2, 1, 1));
    }
}
