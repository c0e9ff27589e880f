//! From any picture to a model's input: digits as MNIST's were made, all else resized.
//!
//! MNIST's digits are white on black; each was scaled, its shape kept, to fit 20 × 20 and put into 28 × 28 with its centre
//! of mass in the middle (LeCun et al., "Gradient-based learning applied to document recognition", 1998).

use crate::data::Prepare;
use crate::data::pictures::ink;
use crate::data::pictures::ink::{Found, Grey};
use crate::data::pictures::picture::Picture;
use crate::error::{Error, Result};
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma, Rgb, RgbaImage};

/// A model's input, and how it came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Pixels 0–255, [height, width, channels].
    pub pixels: Vec<u8>,
    /// Height, width and channels.
    pub shape: [usize; 3],
    /// What was done, in words.
    pub how: String,
}

impl Prepared {
    /// The input as a PNG file: grey, RGB or RGBA.
    ///
    /// # Errors
    /// [`Error::Failed`] where there is no such picture.
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

/// Prepares a picture for a model's `input` = [height, width, channels]. As a digit it is taken for a sign by itself on a
/// plain background, dark on light or light on dark, and prepared as MNIST's digits are, the sign's box being 20/28 of the
/// input; else the whole picture is resized, and grey for one channel.
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
        (Prepare::Resize, _) => whole(picture, input),
    }
}

/// A picture that has the model's size already.
///
/// # Errors
/// [`Error::Input`] for a picture of another size, and for another number of channels than 1, 3 and 4.
pub fn as_it_is(picture: &Picture, input: [usize; 3]) -> Result<Prepared> {
    let [height, width, _] = input;
    match [picture.height(), picture.width()] == [height, width] {
        true => whole(picture, input),
        false => Err(Error::input(format!(
            "found a picture of {}×{}, expected {width}×{height}, as the model reads it",
            picture.width(),
            picture.height()
        ))),
    }
}

/// The whole picture, resized; grey for one channel.
///
/// # Errors
/// [`Error::Input`] for another number of channels than 1, 3 and 4.
pub fn whole(picture: &Picture, input: [usize; 3]) -> Result<Prepared> {
    let [height, width, channels] = input;
    if ![1, 3, 4].contains(&channels) {
        return Err(Error::input(format!(
            "the model's input has {channels} channels, expected 1, 3 or 4 for pictures"
        )));
    }
    if channels != 1 {
        return resized(picture, input);
    }
    let mut prepared = resized(picture, [height, width, 3])?;
    crate::data::formats::pictures::grey(&mut prepared.pixels);
    (prepared.shape, prepared.how) = (input, prepared.how + ", grey");
    Ok(prepared)
}

/// The whole picture, resized; opacity is laid on white where the model has no channel for it.
pub(in crate::data) fn resized(picture: &Picture, [height, width, channels]: [usize; 3]) -> Result<Prepared> {
    let (w, h) = (picture.width(), picture.height());
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
    if [h, w] != [height, width] {
        how.push(format!("resized to {width}×{height}"));
    }
    let too_large = || Error::failed(format!("a picture of {w}×{h} cannot be resized to {width}×{height}"));
    let sides = |side: usize| u32::try_from(side).map_err(|_| too_large());
    let (new_width, new_height) = (sides(width)?, sides(height)?);
    let pixels = match channels {
        4 => {
            let image = RgbaImage::from_raw(w as u32, h as u32, rgba).ok_or_else(too_large)?;
            resize(&image, new_width, new_height, FilterType::Triangle).into_raw()
        }
        _ => {
            let rgb = rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
            let image = ImageBuffer::<Rgb<u8>, Vec<u8>>::from_raw(w as u32, h as u32, rgb).ok_or_else(too_large)?;
            resize(&image, new_width, new_height, FilterType::Triangle).into_raw()
        }
    };
    Ok(Prepared { pixels, shape: [height, width, channels], how: how.join(", ") })
}

/// A picture's size, and what its file had more.
fn size_of(picture: &Picture) -> String {
    let size = format!("{}×{}", picture.width(), picture.height());
    match picture.deep() {
        None => size,
        Some(most) => format!("{size}, brought from 16 bits to 8 (its largest value is {most} of 65535)"),
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
    // As in all of MNIST: the centre of mass lies in the pixel behind the middle.
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
