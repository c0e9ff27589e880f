//! Text on pictures: a canvas of colours, texts in a small fixed font, and the legend of classes.

use crate::data::colours::{PAPER, colours};
use crate::data::pictures::prepare::Prepared;
use crate::error::Result;
use font8x8::{BASIC_FONTS, GREEK_FONTS, LATIN_FONTS, UnicodeFonts};

/// Pixels of a letter, at the scale of 1, and of the white below a line.
const LETTER: usize = 8;
/// Pixels from one line to the next.
pub(super) const LINE: usize = 14;
/// Pixels round a legend, between its entries, and from a swatch to its name.
const GAP: usize = 6;
/// The side of a swatch.
const SWATCH: usize = 10;
/// The most letters of a name.
const NAME: usize = 32;
/// The most classes that a legend names; the others are counted.
const ENTRIES: usize = 64;
/// Text on paper.
const INK: [u8; 3] = [32; 3];

/// Pixels of red, green and blue, [height, width].
#[derive(Clone, Debug)]
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// Paper of that size.
    pub(super) fn new(width: usize, height: usize) -> Canvas {
        Canvas { width, height, pixels: PAPER.repeat(width * height) }
    }

    /// Sets a pixel; beyond the edges nothing.
    pub(super) fn set(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            self.pixels[(y * self.width + x) * 3..][..3].copy_from_slice(&colour);
        }
    }

    /// A rectangle of one colour.
    fn fill(&mut self, [x, y]: [usize; 2], [width, height]: [usize; 2], colour: [u8; 3]) {
        for row in y..y + height {
            (x..x + width).for_each(|column| self.set(column, row, colour));
        }
    }

    /// A text whose letters begin at (x, y).
    pub(super) fn text(&mut self, [x, y]: [usize; 2], text: &str) {
        for (n, letter) in text.chars().enumerate() {
            for (row, bits) in glyph(letter).into_iter().enumerate() {
                for column in (0..LETTER).filter(|column| bits >> column & 1 == 1) {
                    self.set(x + n * LETTER + column, y + row, INK);
                }
            }
        }
    }

    /// Another canvas below this one.
    pub(super) fn above(self, other: Canvas) -> Canvas {
        let width = self.width.max(other.width);
        let mut both = Canvas::new(width, self.height + other.height);
        for (canvas, top) in [(&self, 0), (&other, self.height)] {
            for y in 0..canvas.height {
                let row = &canvas.pixels[y * canvas.width * 3..][..canvas.width * 3];
                both.pixels[(top + y) * width * 3..][..row.len()].copy_from_slice(row);
            }
        }
        both
    }

    /// The canvas as a PNG file.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if the PNG cannot be made.
    pub(super) fn into_png(self) -> Result<Vec<u8>> {
        Prepared { pixels: self.pixels, shape: [self.height, self.width, 3], how: String::new() }.to_png()
    }
}

/// The rows of a letter, the leftmost pixel in the lowest bit; a box where the font lacks it.
fn glyph(letter: char) -> [u8; LETTER] {
    let fonts = [BASIC_FONTS.get(letter), LATIN_FONTS.get(letter), GREEK_FONTS.get(letter)];
    fonts.into_iter().flatten().next().unwrap_or([0, 0x7e, 0x42, 0x42, 0x42, 0x42, 0x7e, 0])
}

/// The pixels that a text is wide.
pub(super) fn width_of(text: &str) -> usize {
    text.chars().count() * LETTER
}

/// The classes by their colours and names, in lines of at most `width` pixels, or of one name; `plain` says of the first class
/// that it has no colour.
pub(super) fn legend(names: &[String], width: usize, plain: bool) -> Canvas {
    let short = |(class, name): (usize, &String)| {
        let name: String = name.chars().filter(|letter| !letter.is_control()).collect();
        let name = match name.chars().count() {
            0..=NAME => name,
            _ => name.chars().take(NAME - 1).chain(['~']).collect(),
        };
        if plain && class == 0 { format!("{name} (not coloured)") } else { name }
    };
    let mut entries: Vec<(Option<u32>, String)> =
        names.iter().take(ENTRIES).enumerate().map(|entry| (Some(entry.0 as u32), short(entry))).collect();
    if names.len() > ENTRIES {
        entries.push((None, format!("and {} more", names.len() - ENTRIES)));
    }
    let (mut x, mut y, mut places, mut widest) = (GAP, GAP, Vec::new(), 0);
    for (class, name) in entries {
        let wide = if class.is_some() { SWATCH + GAP } else { 0 } + width_of(&name);
        if x > GAP && x + wide + GAP > width {
            (x, y) = (GAP, y + LINE);
        }
        widest = widest.max(x + wide + GAP);
        places.push((class, name, [x, y]));
        x += wide + 2 * GAP;
    }
    let colours = colours(names);
    let mut canvas = Canvas::new(widest.max(width), y + LINE + GAP);
    for (class, name, [x, y]) in places {
        let mut left = x;
        if let Some(class) = class {
            canvas.fill([x, y], [SWATCH; 2], INK);
            let inside = if plain && class == 0 { PAPER } else { colours[class as usize] };
            canvas.fill([x + 1, y + 1], [SWATCH - 2; 2], inside);
            left += SWATCH + GAP;
        }
        canvas.text([left, y + 1], &name);
    }
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::colours::colour;

    #[test]
    fn a_legend_wraps_and_has_every_colour() {
        let names: Vec<String> =
            ["sky", "straße", "\u{4e00}", "a rather long name of a class, longer than it should be"]
                .map(String::from)
                .into();
        let [wide, narrow] = [1000, 100].map(|width| legend(&names, width, false));
        assert_eq!((wide.width, wide.height), (1000, LINE + 2 * GAP));
        // A name that is wider than the legend makes it wider; names are cut.
        assert_eq!(narrow.width, 2 * GAP + SWATCH + GAP + NAME * LETTER);
        assert_eq!(narrow.height, 4 * LINE + 2 * GAP);
        for canvas in [wide, narrow] {
            for class in 0..4 {
                assert!(canvas.pixels.chunks(3).any(|pixel| pixel == colour(class)), "{class}");
            }
        }
        let many: Vec<String> = (0..300).map(|class| class.to_string()).collect();
        assert!(legend(&many, 200, true).height < 40 * LINE);
        // The rows of an L: a bar at the left, and one below.
        let rows = glyph('L');
        assert!(rows[..6].iter().all(|row| row & 0b110 == 0b110) && rows[6] & 0b111_1110 != 0);
    }
}
