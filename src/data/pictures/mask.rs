//! Pictures of masks: a mask of indices with distinct colours, and a sheet of input, truth and prediction.

use crate::data::Split;
use crate::data::colours::{PAPER, colours};
use crate::data::pictures::index::Mask;
use crate::data::pictures::lettering::{Canvas, legend, width_of};
use crate::error::{Error, Result};

/// Pixels between images, and round all of them.
const GAP: usize = 6;
/// Pixels of the line that says what a column shows.
const HEAD: usize = 14;
/// Images are enlarged by a whole factor until their longer side has at least this many pixels.
const SIDE: usize = 96;
/// Large images are subsampled by a whole factor, so that the longer side has at most this many pixels.
const MOST: usize = 320;
/// The most samples of a sheet.
pub const SAMPLES: usize = 8;

/// The columns of a sheet.
const COLUMNS: [&str; 3] = ["picture", "truth", "prediction"];

/// A mask as a PNG file of indices: each pixel is its class, and the palette has the classes' colours; of more than 256 classes
/// grey values of 16 bits.
///
/// # Errors
/// [`Error::Failed`] if the PNG cannot be made.
pub fn png(mask: &Mask, names: &[String]) -> Result<Vec<u8>> {
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("a PNG of {mask:?}: {e}"));
    let sides = [mask.width, mask.height].map(u32::try_from);
    let (Ok(width), Ok(height)) = (sides[0], sides[1]) else { return Err(failed(&"too large")) };
    let (mut file, wide) = (Vec::new(), names.len() > 256);
    let mut encoder = png::Encoder::new(&mut file, width, height);
    let data: Vec<u8> = match wide {
        true => mask.values.iter().flat_map(|class| (*class as u16).to_be_bytes()).collect(),
        false => mask.values.iter().map(|class| *class as u8).collect(),
    };
    encoder.set_color(if wide { png::ColorType::Grayscale } else { png::ColorType::Indexed });
    encoder.set_depth(if wide { png::BitDepth::Sixteen } else { png::BitDepth::Eight });
    if !wide {
        let palette = colours(names).concat();
        encoder.set_palette(if palette.is_empty() { vec![0; 3] } else { palette });
    }
    let mut writer = encoder.write_header().map_err(|e| failed(&e))?;
    writer.write_image_data(&data).map_err(|e| failed(&e))?;
    writer.finish().map_err(|e| failed(&e))?;
    Ok(file)
}

/// A sheet as a PNG file: a row for each of the first samples, with the image, its labels and the predicted ones, where there are
/// some, from left to right, and the colours of the classes below.
///
/// # Errors
/// [`Error::Failed`] if the PNG cannot be made, [`Error::Input`] if an image cannot be read any more.
pub fn sheet(split: &Split, predicted: Option<&[u32]>, names: &[String]) -> Result<Vec<u8>> {
    let [height, width, channels] = split.shape();
    let positions = split.positions().max(1);
    let samples = split.count.min(SAMPLES).min(predicted.map_or(SAMPLES, |predicted| predicted.len() / positions));
    let of_classes = colours(names);
    let colour = |class: u32| of_classes.get(class as usize).copied().unwrap_or(PAPER);
    let shown_columns = if predicted.is_some() { COLUMNS.len() } else { COLUMNS.len() - 1 };
    let longest = height.max(width);
    let (times, step) = (SIDE.div_ceil(longest).max(1), longest.div_ceil(MOST));
    let [rows, columns] = [height, width].map(|side| side.div_ceil(step) * times);
    let place = columns.max(width_of(COLUMNS[2])) + GAP;
    let mut sheet = Canvas::new(shown_columns * place + GAP, HEAD + GAP + samples * (rows + GAP));
    for (column, head) in COLUMNS[..shown_columns].iter().enumerate() {
        sheet.text([GAP + column * place, GAP], head);
    }
    for sample in 0..samples {
        let image = split.image(sample)?;
        let shown = |p: usize| {
            let pixel = &image[p * channels..][..channels];
            if channels >= 3 { [pixel[0], pixel[1], pixel[2]] } else { [pixel[0]; 3] }
        };
        let truth = split.labels_of(sample);
        let answer = predicted.map(|predicted| &predicted[sample * positions..][..positions]);
        let top = HEAD + GAP + sample * (rows + GAP);
        for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
            let p = y / times * step * width + x / times * step;
            let answer = answer.map(|answer| colour(answer[p]));
            let all = [Some(shown(p)), Some(colour(truth[p])), answer];
            for (column, shade) in all.into_iter().flatten().enumerate() {
                sheet.set(GAP + column * place + x, top + y, shade);
            }
        }
    }
    let legend = legend(names, sheet.width, false);
    sheet.above(legend).into_png()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::colours::colour;
    use crate::data::pictures::picture::Picture;

    #[test]
    fn a_sheet_has_three_pictures_a_row() {
        let labels = vec![0u8, 1, 2, 1, 1, 0];
        let split = Split::masked([1, 3, 1], vec![0, 50, 250, 9, 8, 7], labels.clone()).unwrap();
        let names = ["a", "b", "c"].map(String::from);
        let sheet = Picture::decode(&sheet(&split, Some(&[0, 2, 2, 1, 1, 0]), &names).unwrap()).unwrap();
        let times = SIDE.div_ceil(3);
        assert_eq!(sheet.width(), 3 * (3 * times + GAP) + GAP);
        assert!(sheet.height() > HEAD + 2 * (times + GAP) + GAP, "and a legend");
        let at = |column: usize, p: usize| {
            let (x, y) = (GAP + column * (3 * times + GAP) + p * times, HEAD + GAP);
            sheet.rgba()[(y * sheet.width() + x) * 4..][..3].to_vec()
        };
        assert_eq!([at(0, 1), at(1, 1), at(2, 1)], [vec![50; 3], colour(1).into(), colour(2).into()]);
    }

    /// A written mask is read back as the same classes; the palette shows them in their colours.
    #[test]
    fn a_mask_is_a_file_of_indices() {
        for (classes, values) in [(3, vec![0, 1, 2, 2, 0, 1]), (256, vec![255, 0, 7, 8, 9, 1]), (1000, vec![999; 6])] {
            let mask = Mask { width: 3, height: 2, values };
            let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
            let file = png(&mask, &names).unwrap();
            assert_eq!(Mask::decode(&file).unwrap(), mask, "{classes}");
            let shown = Picture::decode(&file).unwrap();
            let first: Vec<u8> = colour(mask.values[0]).into();
            assert!(classes > 256 || shown.rgba()[..3] == first[..], "{classes}");
        }
    }
}
