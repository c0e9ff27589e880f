//! The colours in which the classes of pixels are shown.

use crate::data::values::{colour_of, value_of};
use crate::ir::element::IGNORED;

/// The paper: what is ignored, and the ground of sheets.
pub const PAPER: [u8; 3] = [232; 3];

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

/// The colour of each of these classes: of one whose name is a colour, such as `#ff0080`, that one.
pub fn colours(names: &[String]) -> Vec<[u8; 3]> {
    let own = |name: &String| value_of(name).and_then(colour_of);
    (0..).zip(names).map(|(class, name)| own(name).unwrap_or_else(|| colour(class))).collect()
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
    fn a_class_that_is_a_colour_is_shown_in_it() {
        let names = ["#000000", "#0080ff", "sky", "#12"].map(String::from);
        assert_eq!(colours(&names), [[0; 3], [0, 128, 255], colour(2), colour(3)]);
    }
}
