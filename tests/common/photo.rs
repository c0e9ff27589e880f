//! A digit as a camera would see it: ink on paper, unevenly lit, tinted, with noise, somewhere in the picture.

use image::imageops::{FilterType, resize};
use image::{GrayImage, Rgb, RgbImage};
use std::io::Cursor;

/// A JPEG of 640 × 480 with the digit `pixels`, 28 × 28, about 300 pixels high, written with a dark pen.
pub fn photo(pixels: &[u8], seed: u32) -> Vec<u8> {
    let digit = GrayImage::from_raw(28, 28, pixels.to_vec()).expect("28 × 28 pixels");
    let digit = resize(&digit, 420, 420, FilterType::Triangle);
    let (left, top) = (20 + seed * 37 % 180, seed * 23 % 60);
    let mut random = seed.wrapping_mul(2_654_435_761) | 1;
    let picture = RgbImage::from_fn(640, 480, |x, y| {
        let ink = match (x.checked_sub(left), y.checked_sub(top)) {
            (Some(x), Some(y)) if x < 420 && y < 420 => f32::from(digit.get_pixel(x, y)[0]) / 255.0,
            _ => 0.0,
        };
        // A lamp on the left: the right edge has little more than half the light.
        let light = 0.95 - 0.4 * (x as f32 / 640.0) - 0.05 * (y as f32 / 480.0);
        random = random.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let noise = (random >> 24) as f32 / 255.0 * 8.0 - 4.0;
        let shade = |paper: f32, pen: f32| {
            ((paper * (1.0 - ink) + pen * ink) * light * 255.0 + noise).clamp(0.0, 255.0).round() as u8
        };
        Rgb([shade(0.98, 0.15), shade(0.95, 0.18), shade(0.88, 0.35)])
    });
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, image::ImageFormat::Jpeg).expect("a JPEG");
    file.into_inner()
}
