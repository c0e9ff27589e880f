//! Small pictures for the page: bytes that its script draws on a canvas.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// The longest side of a picture on the page, in pixels; larger ones are made smaller by averaging.
const LONGEST: usize = 96;

/// The meaning of a picture's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Grey, 0 black to 255 white.
    Grey,
    /// Red, green and blue, one byte each.
    Rgb,
    /// 128 is zero, 1 the largest negative and 255 the largest positive value.
    Signed,
    /// 0 to the largest value.
    Positive,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The meaning of the bytes.
    pub scale: Scale,
    /// The bytes, row by row, in base64.
    pub data: String,
}

impl Picture {
    /// An image of the data set: pixels 0–255 [height, width, channels]. Three channels are colours; of any other number
    /// the mean is shown.
    pub fn image(pixels: &[u8], [height, width, channels]: [usize; 3]) -> Picture {
        let floats: Vec<f32> = pixels.iter().map(|&byte| byte.into()).collect();
        match channels {
            3 => Self::new(&floats, [height, width, 3], Scale::Rgb, |x| x),
            _ => Self::new(&mean(&floats, channels), [height, width, 1], Scale::Grey, |x| x),
        }
    }

    /// Values of either sign, [height, width], `largest` of them the end of the scale.
    pub fn signed(values: &[f32], [height, width]: [usize; 2], largest: f32) -> Picture {
        let unit = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        Self::new(values, [height, width, 1], Scale::Signed, |x| 128.0 + x * unit)
    }

    /// Values of either sign as colours, [height, width, 3]; zero is a middle grey.
    pub fn colours(values: &[f32], [height, width]: [usize; 2], largest: f32) -> Picture {
        let unit = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        Self::new(values, [height, width, 3], Scale::Rgb, |x| 128.0 + x * unit)
    }

    /// Values from 0 to `largest`, [height, width].
    pub fn positive(values: &[f32], [height, width]: [usize; 2], largest: f32) -> Picture {
        let unit = if largest > 0.0 { 255.0 / largest } else { 0.0 };
        Self::new(values, [height, width, 1], Scale::Positive, |x| x * unit)
    }

    fn new(values: &[f32], shape: [usize; 3], scale: Scale, byte: impl Fn(f32) -> f32) -> Picture {
        let (values, [height, width, _]) = reduce(values, shape);
        // A cast saturates, and takes what is not a number for 0.
        let bytes: Vec<u8> = values.into_iter().map(|x| byte(x).round() as u8).collect();
        Picture { height, width, scale, data: base64(bytes) }
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        STANDARD.decode(&self.data).unwrap_or_default()
    }
}

/// Bytes in base64, as the page's script reads them.
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// The mean over the channels, [pixels, channels] to `[pixels]`.
pub fn mean(values: &[f32], channels: usize) -> Vec<f32> {
    let channels = channels.max(1);
    values.chunks(channels).map(|pixel| pixel.iter().sum::<f32>() / channels as f32).collect()
}

/// The largest absolute value that is a number.
pub fn largest(values: &[f32]) -> f32 {
    values.iter().filter(|x| x.is_finite()).fold(0.0, |most, x| most.max(x.abs()))
}

/// Averages squares of pixels so that no side is longer than the page shows.
fn reduce(values: &[f32], [height, width, channels]: [usize; 3]) -> (Vec<f32>, [usize; 3]) {
    let side = height.max(width).div_ceil(LONGEST);
    if side <= 1 {
        return (values.to_vec(), [height, width, channels]);
    }
    let [rows, columns] = [height, width].map(|size| size.div_ceil(side));
    let mut sums = vec![0.0; rows * columns * channels];
    for (at, value) in values.iter().enumerate() {
        let (y, x, c) = (at / (width * channels), at / channels % width, at % channels);
        sums[((y / side) * columns + x / side) * channels + c] += value;
    }
    for (at, sum) in sums.iter_mut().enumerate() {
        let (y, x) = (at / (columns * channels), at / channels % columns);
        let inside = |place: usize, size: usize| side.min(size - place * side);
        *sum /= (inside(y, height) * inside(x, width)) as f32;
    }
    (sums, [rows, columns, channels])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_what_the_scale_says() {
        assert_eq!(Picture::image(&[0, 7, 255, 9], [2, 2, 1]).bytes(), [0, 7, 255, 9]);
        assert_eq!(Picture::image(&[0, 10, 3, 5], [1, 2, 2]).bytes(), [5, 4], "the mean of two channels");
        assert_eq!(Picture::image(&[1, 2, 3], [1, 1, 3]).scale, Scale::Rgb);
        assert_eq!(Picture::signed(&[-2.0, 0.0, 2.0, 1.0], [2, 2], 2.0).bytes(), [1, 128, 255, 192]);
        assert_eq!(Picture::positive(&[0.0, 0.5, 1.0, f32::NAN], [2, 2], 1.0).bytes(), [0, 128, 255, 0]);
        assert_eq!(Picture::signed(&[0.0; 2], [1, 2], 0.0).bytes(), [128, 128]);
    }

    #[test]
    fn large_pictures_are_averaged() {
        // 97 columns are 49 pairs, the last of them half empty.
        let pixels: Vec<u8> = (0..97).map(|x| if x == 96 { 200 } else { 100 * (x % 2) as u8 }).collect();
        let picture = Picture::image(&pixels, [1, 97, 1]);
        assert_eq!((picture.height, picture.width), (1, 49));
        assert_eq!(picture.bytes()[..2], [50, 50]);
        assert_eq!(picture.bytes()[48], 200);
    }

    #[test]
    fn the_largest_is_a_number() {
        assert_eq!(largest(&[1.0, -3.0, f32::NAN, f32::INFINITY]), 3.0);
        assert_eq!(largest(&[]), 0.0);
    }
}
