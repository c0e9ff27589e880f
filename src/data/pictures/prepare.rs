//! From a picture to a model's input: digits as in MNIST, all other pictures resized.
//!
//! MNIST's digits are white on black; each was scaled, its shape kept, to fit 20 × 20 and put into 28 × 28 with its centre
//! of mass in the middle (LeCun et al., "Gradient-based learning applied to document recognition", 1998).

use crate::data::pictures::ink;
use crate::data::pictures::ink::{Found, Grey};
use crate::data::pictures::picture::Picture;
use crate::data::pictures::placing::Placing;
use crate::data::{Fit, Prepare};
use crate::error::{Error, Result};
use image::imageops::{FilterType, crop_imm, replace, resize};
use image::{ImageBuffer, Luma, Pixel, RgbImage, RgbaImage};

/// A model's input, and how it came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Pixels 0–255, [height, width, channels].
    pub pixels: Vec<u8>,
    /// Height, width and channels.
    pub shape: [usize; 3],
    /// The preparation, in words.
    pub how: String,
}

impl Prepared {
    /// The input as a PNG file: grey, RGB or RGBA.
    ///
    /// # Errors
    /// [`Error::Failed`] if there is no such picture.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let [height, width, channels] = self.shape;
        let failed = |e: &dyn std::fmt::Display| Error::failed(format!("a PNG of {:?}: {e}", self.shape));
        let colour = match channels {
            1 => image::ExtendedColorType::L8,
            3 => image::ExtendedColorType::Rgb8,
            _ => image::ExtendedColorType::Rgba8,
        };
        if self.pixels.len() != height * width * channels {
            return Err(failed(&format!("found {} bytes", self.pixels.len())));
        }
        let side = |side: usize| u32::try_from(side).map_err(|e| failed(&e));
        let mut file = std::io::Cursor::new(Vec::new());
        let format = image::ImageFormat::Png;
        image::write_buffer_with_format(&mut file, &self.pixels, side(width)?, side(height)?, colour, format)
            .map_err(|e| failed(&e))?;
        Ok(file.into_inner())
    }
}

/// Prepares a picture for a model's `input` = [height, width, channels]. As a digit it is treated as a single sign on a
/// plain background, dark on light or light on dark, and prepared as MNIST's digits are, the sign's box being 20/28 of the
/// input; else the picture is brought to the size, and grey for one channel.
///
/// # Errors
/// [`Error::Input`] for another number of channels than 1, 3 and 4, of a digit than 1, and for a digit where nothing stands out
/// from the background.
pub fn prepare(picture: &Picture, input: [usize; 3], how: Prepare) -> Result<Prepared> {
    match (how, input[2]) {
        (Prepare::Digits, 1) => digit(picture, [input[0], input[1]]),
        (Prepare::Digits, channels) => {
            Err(Error::input(format!("the model's input has {channels} channels, expected 1 for digits")))
        }
        (how, _) => whole(picture, input, how.into()),
    }
}

/// A picture that has the model's size already.
///
/// # Errors
/// [`Error::Input`] for a picture of another size, and for another number of channels than 1, 3 and 4.
pub fn as_it_is(picture: &Picture, input: [usize; 3]) -> Result<Prepared> {
    let [height, width, _] = input;
    match [picture.height(), picture.width()] == [height, width] {
        true => whole(picture, input, Fit::Stretch),
        false => Err(Error::input(format!(
            "found a picture of {}×{}, expected {width}×{height}, as the model reads it",
            picture.width(),
            picture.height()
        ))),
    }
}

/// The picture, brought to the size; grey for one channel.
///
/// # Errors
/// [`Error::Input`] for another number of channels than 1, 3 and 4.
pub fn whole(picture: &Picture, input: [usize; 3], fit: Fit) -> Result<Prepared> {
    let [height, width, channels] = input;
    if ![1, 3, 4].contains(&channels) {
        return Err(Error::input(format!(
            "the model's input has {channels} channels, expected 1, 3 or 4 for pictures"
        )));
    }
    if channels != 1 {
        return fitted(picture, input, fit);
    }
    let mut prepared = fitted(picture, [height, width, 3], fit)?;
    crate::data::formats::pictures::grey(&mut prepared.pixels);
    (prepared.shape, prepared.how) = (input, prepared.how + ", grey");
    Ok(prepared)
}

/// The picture, brought to the size; opacity is laid on white where the model has no channel for it.
pub(in crate::data) fn fitted(picture: &Picture, shape: [usize; 3], fit: Fit) -> Result<Prepared> {
    let ([height, width, channels], [h, w]) = (shape, [picture.height(), picture.width()]);
    let mut rgba = picture.rgba().to_vec();
    let mut how = vec![size_of(picture)];
    if channels == 3 && rgba.chunks_exact(4).any(|pixel| pixel[3] < 255) {
        how.push("laid on white".into());
        for pixel in rgba.chunks_exact_mut(4) {
            let a = u32::from(pixel[3]);
            pixel[..3]
                .iter_mut()
                .for_each(|value| *value = ((u32::from(*value) * a + 255 * (255 - a) + 127) / 255) as u8);
        }
    }
    how.push("colour".into());
    let too_large = || Error::failed(format!("a picture of {w}×{h} cannot be resized to {width}×{height}"));
    let image = RgbaImage::from_raw(side(w)?, side(h)?, rgba).ok_or_else(too_large)?;
    let pixels = match channels {
        4 => placed(image, [height, width], fit, &mut how)?.into_raw(),
        _ => {
            let rgb = image.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
            let image = RgbImage::from_raw(side(w)?, side(h)?, rgb).ok_or_else(too_large)?;
            placed(image, [height, width], fit, &mut how)?.into_raw()
        }
    };
    Ok(Prepared { pixels, shape, how: how.join(", ") })
}

/// The side of a picture as the image library has it.
fn side(side: usize) -> Result<u32> {
    u32::try_from(side).map_err(|e| Error::failed(format!("a picture with a side of {side}: {e}")))
}

/// An image brought to a size; what is done is added to `how`.
fn placed<P: Pixel<Subpixel = u8> + 'static>(
    mut image: ImageBuffer<P, Vec<u8>>,
    [height, width]: [usize; 2],
    fit: Fit,
    how: &mut Vec<String>,
) -> Result<ImageBuffer<P, Vec<u8>>> {
    let (w, h) = (image.width() as usize, image.height() as usize);
    if [h, w] == [height, width] {
        return Ok(image);
    }
    let Placing { taken, placed } = Placing::of([h, w], [height, width], fit);
    if [taken.height, taken.width] != [h, w] {
        image =
            crop_imm(&image, side(taken.left)?, side(taken.top)?, side(taken.width)?, side(taken.height)?).to_image();
        how.push(format!("cropped to {}×{} in the middle", taken.width, taken.height));
    }
    let (inner_width, inner_height) = (side(placed.width)?, side(placed.height)?);
    if [image.width(), image.height()] != [inner_width, inner_height] {
        image = resize(&image, inner_width, inner_height, FilterType::Triangle);
        how.push(format!("resized to {inner_width}×{inner_height}"));
    }
    if [placed.height, placed.width] != [height, width] {
        let mut whole = ImageBuffer::new(side(width)?, side(height)?);
        replace(&mut whole, &image, placed.left as i64, placed.top as i64);
        image = whole;
        how.push(format!("padded with black to {width}×{height}"));
    }
    Ok(image)
}

/// A picture's size, and what its file had more.
fn size_of(picture: &Picture) -> String {
    let size = format!("{}×{}", picture.width(), picture.height());
    match picture.deep() {
        None => size,
        Some(most) => format!("{size}, reduced from 16 bits to 8 (the largest value is {most} of 65535)"),
    }
}

/// Grey, ink light on black, cropped to the ink, scaled to 20/28 of the input, centred by its centre of mass.
fn digit(picture: &Picture, [height, width]: [usize; 2]) -> Result<Prepared> {
    let mut how = vec![size_of(picture), "grey".into()];
    let (grey, shrunk) = ink::grey(picture);
    let found = ink::find(grey);
    let blank =
        || Error::input("nothing stands out from the background, expected a digit, dark on light or light on dark");
    let Found { ink, light, faint } = found.ok_or_else(blank)?;
    if light {
        how.push("inverted, since its background is light".into());
    }
    if faint {
        how.push("faint ink made stronger".into());
    }
    let [top, left, rows, columns] = ink.content_box().ok_or_else(blank)?;
    let content = ink.crop([top, left, rows, columns]);
    how.push(format!("cropped to {}×{}", columns * shrunk, rows * shrunk));

    let room = |side: usize| ((side * 20) as f64 / 28.0).round().max(1.0);
    let scale = (room(height) / rows as f64).min(room(width) / columns as f64);
    let side = |side: usize, most: usize| ((side as f64 * scale).round() as usize).clamp(1, most);
    let (new_rows, new_columns) = (side(rows, height), side(columns, width));
    let mut scaled = content;
    if [new_rows, new_columns] != [rows, columns] {
        scaled = scaled.resized(new_columns, new_rows)?;
        how.push(format!("scaled to {new_columns}×{new_rows}"));
    }
    let [y, x] = scaled.centre().ok_or_else(blank)?;
    // As in all of MNIST: the centre of mass is in the pixel after the middle.
    let place = |centre: f64, side: usize, size: usize| {
        (side as f64 / 2.0 - centre).ceil().clamp(0.0, (side - size) as f64) as usize
    };
    let (top, left) = (place(y, height, new_rows), place(x, width, new_columns));
    how.push(format!("centred by its mass in {width}×{height}"));
    let mut pixels = vec![0; height * width];
    for (row, line) in scaled.values.chunks(new_columns).enumerate() {
        for (column, value) in line.iter().enumerate() {
            pixels[(top + row) * width + left + column] = (value * 255.0).round() as u8;
        }
    }
    Ok(Prepared { pixels, shape: [height, width, 1], how: how.join(", ") })
}

impl Grey {
    /// The same picture in other sizes: each new value a weighed mean of those that it covers.
    fn resized(&self, width: usize, height: usize) -> Result<Grey> {
        let failed = || Error::failed(format!("{self:?} cannot be resized to {width}×{height}"));
        let sides = [self.width, self.height, width, height].map(|side| u32::try_from(side).map_err(|_| failed()));
        let [w, h, new_w, new_h] = sides;
        let image = ImageBuffer::<Luma<f32>, Vec<f32>>::from_raw(w?, h?, self.values.clone()).ok_or_else(failed)?;
        let values = resize(&image, new_w?, new_h?, FilterType::Triangle).into_raw();
        Ok(Grey { width, height, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 8 × 4 whose red tells the column and whose green tells the row.
    fn wide() -> Picture {
        let rgba = (0..32u8).flat_map(|at| [10 * (at % 8), 10 * (at / 8), 0, 255]).collect();
        Picture::new(8, 4, rgba).unwrap()
    }

    fn reds(prepared: &Prepared) -> Vec<u8> {
        prepared.pixels.chunks(3).map(|pixel| pixel[0]).collect()
    }

    /// To 4 × 4: the middle half, or half the size between two black bars; and a tall one alike.
    #[test]
    fn proportions_are_kept_where_they_are_to_be() {
        let of = |fit| fitted(&wide(), [4, 4, 3], fit).unwrap();
        let cropped = of(Fit::Crop);
        assert_eq!(reds(&cropped)[..4], [20, 30, 40, 50]);
        assert_eq!(cropped.how, "8×4, colour, cropped to 4×4 in the middle");
        let padded = of(Fit::Pad);
        assert_eq!(padded.how, "8×4, colour, resized to 4×2, padded with black to 4×4");
        let rows: Vec<bool> = padded.pixels.chunks(12).map(|row| row.iter().any(|value| *value > 0)).collect();
        assert_eq!(rows, [false, true, true, false]);
        let stretched = of(Fit::Stretch);
        assert_eq!(stretched.how, "8×4, colour, resized to 4×4");
        // The two in the middle of the bars are those of the stretched one's columns.
        assert_eq!(reds(&padded)[4..8], reds(&stretched)[4..8]);
        let tall = |fit| fitted(&wide(), [8, 2, 3], fit).unwrap();
        assert_eq!(tall(Fit::Crop).how, "8×4, colour, cropped to 1×4 in the middle, resized to 2×8");
        assert_eq!(tall(Fit::Pad).how, "8×4, colour, resized to 2×1, padded with black to 2×8");
    }

    /// Sides that are no multiples, and a picture that has the proportion, or the size.
    #[test]
    fn every_size_is_reached() {
        for (w, h) in [(1, 1), (1, 9), (9, 1), (5, 7), (64, 48)] {
            let picture = Picture::new(w, h, vec![255; 4 * w * h]).unwrap();
            for shape in [[3, 3, 3], [2, 5, 3], [7, 5, 4], [1, 1, 3]] {
                for fit in [Fit::Stretch, Fit::Crop, Fit::Pad] {
                    let found = fitted(&picture, shape, fit).unwrap();
                    assert_eq!(found.pixels.len(), shape.iter().product::<usize>(), "{w}×{h} {shape:?} {fit:?}");
                    let white = found.pixels.iter().all(|value| *value == 255);
                    assert!(white || fit == Fit::Pad, "{w}×{h} {shape:?} {fit:?}: {:?}", found.pixels);
                }
            }
        }
    }
}
