//! A drawing made ready for the net as MNIST's digits were: cropped, made to fit a box, centred by its mass.

/// What of a 28 × 28 image the longer side of a digit takes.
const BOX: [usize; 2] = [20, 28];

/// Ink below this is taken for paper.
const PAPER: u8 = 8;

/// A grey drawing, ink 0–255 [height, width], as an image of [height, width]: the part with ink on it, scaled so that
/// its longer side takes 20 of 28 pixels, placed with its centre of mass in the middle. `None` where nothing is drawn.
pub fn prepare(ink: &[u8], [height, width]: [usize; 2], [rows, columns]: [usize; 2]) -> Option<Vec<u8>> {
    let marks = || ink.iter().take(height * width).enumerate().filter(|(_, ink)| **ink > PAPER).map(|(at, _)| at);
    let (top, bottom) = (marks().next()? / width, marks().next_back()? / width);
    let left = marks().map(|at| at % width).min()?;
    let right = marks().map(|at| at % width).max()?;
    let (high, wide) = (bottom - top + 1, right - left + 1);
    let side = (rows.min(columns) * BOX[0]).div_ceil(BOX[1]);
    let fit = |size: usize| (size * side).div_ceil(high.max(wide)).clamp(1, side);
    let [small_high, small_wide] = [high, wide].map(fit);

    let mut small = vec![0.0; small_high * small_wide];
    for (at, value) in small.iter_mut().enumerate() {
        let ys = cover(at / small_wide, high, small_high);
        let xs = cover(at % small_wide, wide, small_wide);
        let (mut sum, mut area) = (0.0, 0.0);
        for (y, dy) in &ys {
            for (x, dx) in &xs {
                sum += f64::from(ink[(top + y) * width + left + x]) * dy * dx;
                area += dy * dx;
            }
        }
        *value = sum / area;
    }

    let mass: f64 = small.iter().sum();
    let centre = |along: &dyn Fn(usize) -> usize| {
        small.iter().enumerate().map(|(at, value)| (along(at) as f64 + 0.5) * value).sum::<f64>() / mass
    };
    let start = |centre: f64, size: usize, of: usize| {
        let start = (of as f64 / 2.0 - centre).round().max(0.0) as usize;
        // A drawing with its mass at one end stays within the image all the same.
        start.min(of - size)
    };
    let y = start(centre(&|at| at / small_wide), small_high, rows);
    let x = start(centre(&|at| at % small_wide), small_wide, columns);
    let mut image = vec![0; rows * columns];
    for (at, value) in small.iter().enumerate() {
        image[(y + at / small_wide) * columns + x + at % small_wide] = value.round() as u8;
    }
    Some(image)
}

/// The pixels of `from` that the pixel `at` of `to` covers, each with the part of it that is covered.
fn cover(at: usize, from: usize, to: usize) -> Vec<(usize, f64)> {
    let scale = from as f64 / to as f64;
    let (begin, end) = (at as f64 * scale, (at + 1) as f64 * scale);
    let pixels = begin as usize..(end.ceil() as usize).clamp(begin as usize + 1, from);
    let part = |pixel: usize| (end.min(pixel as f64 + 1.0) - begin.max(pixel as f64)).max(0.0);
    pixels.map(|pixel| (pixel, part(pixel))).filter(|(_, part)| *part > 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A drawing of `size` × `size` with a bright rectangle in it.
    fn rectangle(size: usize, ys: std::ops::Range<usize>, xs: std::ops::Range<usize>) -> Vec<u8> {
        (0..size * size)
            .map(|at| if ys.contains(&(at / size)) && xs.contains(&(at % size)) { 255 } else { 0 })
            .collect()
    }

    /// First and last row and column with ink.
    fn bounds(image: &[u8]) -> [usize; 4] {
        let at: Vec<usize> = (0..image.len()).filter(|&at| image[at] > 0).collect();
        let (ys, xs) = (at.iter().map(|at| at / 28), at.iter().map(|at| at % 28));
        [ys.clone().min(), ys.max(), xs.clone().min(), xs.max()].map(|x| x.expect("ink"))
    }

    #[test]
    fn the_longer_side_is_20_and_the_mass_in_the_middle() {
        for (ys, xs, expected) in [
            (10..110, 200..250, [4, 23, 9, 18]),
            (200..210, 0..280, [14, 14, 4, 23]),
            (3..4, 3..4, [4, 23, 4, 23]),
            (0..280, 0..280, [4, 23, 4, 23]),
        ] {
            let image = prepare(&rectangle(280, ys.clone(), xs.clone()), [280, 280], [28, 28]).expect("ink");
            assert_eq!(bounds(&image), expected, "{ys:?} × {xs:?}");
            assert!(image.iter().all(|ink| [0, 255].contains(ink)), "{ys:?} × {xs:?}: an even drawing stays even");
        }
    }

    #[test]
    fn the_mass_counts_and_not_the_box() {
        // A thick foot pulls the drawing up.
        let mut drawing = rectangle(200, 0..200, 0..10);
        drawing.iter_mut().zip(rectangle(200, 100..200, 0..100)).for_each(|(a, b)| *a = (*a).max(b));
        let image = prepare(&drawing, [200, 200], [28, 28]).expect("ink");
        let [top, bottom, left, right] = bounds(&image);
        assert_eq!([top, bottom, right - left], [0, 19, 9]);
        let mass: f64 = image.iter().map(|&ink| f64::from(ink)).sum();
        let along = |axis: fn(usize) -> usize| {
            image.iter().enumerate().map(|(at, &ink)| (axis(at) as f64 + 0.5) * f64::from(ink)).sum::<f64>() / mass
        };
        for centre in [along(|at| at / 28), along(|at| at % 28)] {
            assert!((centre - 14.0).abs() <= 0.51, "{centre}");
        }
    }

    #[test]
    fn nothing_drawn_is_nothing() {
        assert_eq!(prepare(&[0; 100], [10, 10], [28, 28]), None);
        assert_eq!(prepare(&[PAPER; 100], [10, 10], [28, 28]), None);
        assert_eq!(prepare(&[], [0, 0], [28, 28]), None);
        // Even the smallest image has room for a drawing.
        assert_eq!(prepare(&[255; 4], [2, 2], [1, 1]), Some(vec![255]));
    }
}
