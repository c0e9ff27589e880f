//! Whether images are digits such as MNIST's: then a picture is prepared as those were.

use crate::data::Split;
use crate::error::Result;
use crate::ir::element::Prepare;

/// How many images are looked at.
const LOOKED_AT: usize = 1000;

/// How a picture becomes an image such as those of a split: as MNIST's digits were made where nearly all of the first images
/// are 28 × 28, grey, and dark along their whole border, as signs are that were scaled to fit and centred; else resized.
///
/// # Errors
/// [`crate::Error::Input`] if the images are in a file that cannot be read any more.
pub(in crate::data) fn prepare_for(split: &Split) -> Result<Prepare> {
    let shape = split.shape();
    if shape != [28, 28, 1] || split.positions() > 1 {
        return Ok(Prepare::Resize);
    }
    let looked_at = split.count.min(LOOKED_AT);
    let pixels = split.rows(0..looked_at)?;
    let is_border = |at: usize| [at / 28, at % 28].iter().any(|place| [0, 27].contains(place));
    let is_sign = |image: &&[u8]| {
        let dark = image.iter().enumerate().filter(|(at, _)| is_border(*at)).all(|(_, pixel)| *pixel == 0);
        dark && image.iter().filter(|pixel| **pixel > 0).count() >= 8
    };
    let signs = pixels.chunks(28 * 28).filter(is_sign).count();
    Ok(if signs * 100 >= looked_at * 95 { Prepare::Digits } else { Prepare::Resize })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_on_a_dark_border_are_digits_and_nothing_else_is() {
        let image = |side: usize, border: u8| {
            (0..side * side).map(move |at| {
                let edge = [at / side, at % side].iter().any(|place| [0, side - 1].contains(place));
                if edge { border } else { (at % 3 * 100) as u8 }
            })
        };
        let of = |side: usize, borders: &[u8]| {
            let pixels = borders.iter().flat_map(|border| image(side, *border)).collect();
            prepare_for(&Split::new([side, side, 1], pixels, vec![0u8; borders.len()]).unwrap()).unwrap()
        };
        assert_eq!(of(28, &[0; 40]), Prepare::Digits);
        assert_eq!(of(28, &[0, 9]), Prepare::Resize);
        assert_eq!(of(32, &[0; 4]), Prepare::Resize);
        let blank = Split::new([28, 28, 1], vec![0; 784], vec![0u8]).unwrap();
        assert_eq!(prepare_for(&blank), Ok(Prepare::Resize));
    }
}
