//! A picture with the classes of its pixels in colours over it, and their legend below.

use crate::data::colours::{PAPER, colours};
use crate::data::pictures::index::Mask;
use crate::data::pictures::lettering::{Canvas, legend};
use crate::data::pictures::picture::Picture;
use crate::error::Result;

/// How much of a colour lies over the picture, of 256.
const OPACITY: u32 = 128;
/// Small pictures are enlarged by a whole factor until their longer side has at least this many pixels.
const SIDE: usize = 256;

/// The overlay as a PNG file: each class but the first, which mostly is the background, colours its pixels by half. The mask, of
/// any size, is brought to the picture's by nearest neighbour.
///
/// # Errors
/// [`crate::Error::Failed`] if the PNG cannot be made.
pub fn png(picture: &Picture, mask: &Mask, names: &[String]) -> Result<Vec<u8>> {
    let (width, height) = (picture.width(), picture.height());
    let classes = mask.resized([height, width]);
    let colours = colours(names);
    let times = SIDE.div_ceil(width.max(height)).max(1);
    let mut canvas = Canvas::new(width * times, height * times);
    for (p, (pixel, class)) in picture.rgba().chunks_exact(4).zip(classes).enumerate() {
        let alpha = u32::from(pixel[3]);
        let over = colours.get(class as usize).unwrap_or(&PAPER);
        let mixed = [0, 1, 2].map(|c| {
            // What is transparent lies on white.
            let below = (u32::from(pixel[c]) * alpha + 255 * (255 - alpha) + 127) / 255;
            let opacity = if class == 0 { 0 } else { OPACITY };
            ((below * (256 - opacity) + u32::from(over[c]) * opacity) / 256) as u8
        });
        for (y, x) in (0..times).flat_map(|y| (0..times).map(move |x| (y, x))) {
            canvas.set(p % width * times + x, p / width * times + y, mixed);
        }
    }
    let legend = legend(names, canvas.width, true);
    canvas.above(legend).into_png()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::colours::colour;

    #[test]
    fn classes_colour_their_pixels_and_the_first_none() {
        let picture = Picture::grey(4, 2, &[100; 8]).unwrap();
        let mask = Mask { width: 2, height: 1, values: vec![0, 2] };
        let names = ["ground", "a", "b"].map(String::from);
        let made = Picture::decode(&png(&picture, &mask, &names).unwrap()).unwrap();
        assert_eq!(made.width(), 256);
        assert!(made.height() > 128, "the legend stands below the picture's two rows of 64 pixels");
        let at = |x: usize, y: usize| made.rgba()[(y * made.width() + x) * 4..][..3].to_vec();
        let half = colour(2).map(|part| ((100 + u32::from(part)) / 2) as u8);
        assert_eq!(
            (at(0, 0), at(127, 127), at(128, 0), at(255, 127)),
            (vec![100; 3], vec![100; 3], half.into(), half.into())
        );
    }
}
