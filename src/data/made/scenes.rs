//! A generated data set for segmentation: MNIST digits at random places on a canvas, with the class of each pixel.

use crate::data::formats::{mnist, npy};
#[cfg(feature = "images")]
use crate::data::pictures::{index::Mask, mask, prepare::Prepared};
use crate::data::schema::LABEL;
use crate::data::{Column, Split};
use crate::error::{Error, Result};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::ops::RangeInclusive;

/// The names of the classes: a digit's is its number + 1.
pub const CLASS_NAMES: [&str; 11] = ["background", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// The ink of a digit's pixel.
const INK: u8 = 96;
/// The noise on every pixel, to both sides.
const NOISE: u32 = 10;
/// The darkest digit, of 255.
const DARKEST: u32 = 140;
/// How often a place is tried for a digit before it is left out.
const TRIES: usize = 30;

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenes {
    /// The seed; the same one gives the same bytes.
    pub seed: u64,
    /// Training images, with digits of MNIST's training set.
    pub train: usize,
    /// Test images, with digits of its test set.
    pub test: usize,
    /// Rows and columns of an image, at least those of a digit.
    pub size: usize,
    /// How many digits an image has; one that finds no free place is left out.
    pub digits: RangeInclusive<usize>,
}

impl Default for Scenes {
    fn default() -> Self {
        Scenes { seed: 0, train: 8_000, test: 1_000, size: 64, digits: 1..=4 }
    }
}

/// The most bytes of images that are made.
const LARGEST_BYTES: usize = 1 << 30;

impl Scenes {
    /// Makes training and test images.
    ///
    /// # Errors
    /// [`Error::Input`] for invalid sizes, and as [`mnist::load`].
    pub fn make(&self) -> Result<[Split; 2]> {
        let digits = mnist::load()?;
        let wrong = |what: &str, found: usize, expected: &str| {
            Err(Error::input(format!("{what} {found}: {expected} is expected")))
        };
        let least = digits.train.shape()[0].max(digits.train.shape()[1]);
        if !(least..=4096).contains(&self.size) {
            return wrong("size", self.size, &format!("{least} to 4096"));
        }
        if self.digits.is_empty() || *self.digits.start() == 0 || *self.digits.end() > 64 {
            return wrong("digits", *self.digits.end(), "a range such as 1-4, of 1 to 64,");
        }
        for (what, count) in [("train", self.train), ("test", self.test)] {
            if count == 0 || count.saturating_mul(self.size * self.size) > LARGEST_BYTES {
                return wrong(what, count, &format!("1 image or more, at most {LARGEST_BYTES} bytes of them,"));
            }
        }
        Ok([self.split(&digits.train, 0, self.train)?, self.split(&digits.test, 1, self.test)?])
    }

    fn split(&self, digits: &Split, part: u64, count: usize) -> Result<Split> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(part);
        let places = self.size * self.size;
        let (mut pixels, mut labels) = (vec![0; count * places], vec![0u8; count * places]);
        for (pixels, labels) in pixels.chunks_mut(places).zip(labels.chunks_mut(places)) {
            let more = below(&mut rng, self.digits.end() - self.digits.start() + 1);
            for _ in 0..self.digits.start() + more {
                self.place(&mut rng, digits, pixels, labels);
            }
            for pixel in pixels {
                let noise = rng.next_u32() % (2 * NOISE + 1);
                *pixel = (u32::from(*pixel) + noise).saturating_sub(NOISE).min(255) as u8;
            }
        }
        Split::masked([self.size, self.size, 1], pixels, labels)
    }

    /// Puts a digit where its ink touches no other's.
    fn place(&self, rng: &mut ChaCha8Rng, digits: &Split, pixels: &mut [u8], labels: &mut [u8]) {
        let [h, w, _] = digits.shape();
        let which = below(rng, digits.count);
        let digit = &digits.pixels()[which * h * w..][..h * w];
        // The digits take labels 1 to 10.
        let class = digits.labels_of(which).first().map_or(0, |digit| *digit as u8 + 1);
        let brightness = DARKEST + rng.next_u32() % (256 - DARKEST);
        for _ in 0..TRIES {
            let (top, left) = (below(rng, self.size - h + 1), below(rng, self.size - w + 1));
            let at = |p: usize| (top + p / w) * self.size + left + p % w;
            let faint = |p: &usize| digit[*p] > 0;
            if (0..h * w).filter(faint).any(|p| pixels[at(p)] > 0) {
                continue;
            }
            for p in (0..h * w).filter(faint) {
                pixels[at(p)] = (u32::from(digit[p]) * brightness / 255) as u8;
                labels[at(p)] = if digit[p] >= INK { class } else { 0 };
            }
            return;
        }
    }

    /// Makes the files of a folder: their names and contents.
    ///
    /// # Errors
    /// As [`Scenes::make`].
    pub fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let mut files = Vec::new();
        for (split, names) in self.make()?.iter().zip(npy::FILES.chunks(2)) {
            let [height, width, _] = split.shape();
            let shape = [split.count, height, width];
            files.push((names[0], npy::bytes(&shape, split.pixels())?));
            files.push((names[1], npy::bytes(&shape, split.column(LABEL).map_or(&[], Column::held))?));
        }
        files.push((npy::CLASSES, (CLASS_NAMES.join("\n") + "\n").into_bytes()));
        Ok(files)
    }
}

/// `Scenes::files` as pictures with masks: `train/images/0001.png`, `train/masks/0001.png` and so on, and `classes.txt`; a mask is
/// a PNG of class numbers.
///
/// # Errors
/// As [`Scenes::make`], and [`Error::Failed`] if a PNG cannot be made.
#[cfg(feature = "images")]
pub fn pictures(scenes: &Scenes) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = vec![(npy::CLASSES.to_owned(), (CLASS_NAMES.join("\n") + "\n").into_bytes())];
    for (split, part) in scenes.make()?.iter().zip(["train", "test"]) {
        let shape @ [height, width, _] = split.shape();
        for sample in 0..split.count {
            let name = format!("{:04}.png", sample + 1);
            let picture = Prepared { pixels: split.image(sample)?.into_owned(), shape, how: String::new() };
            let classes = Mask { width, height, values: split.labels_of(sample) };
            files.push((format!("{part}/images/{name}"), picture.to_png()?));
            files.push((format!("{part}/masks/{name}"), mask::png(&classes, &CLASS_NAMES.map(String::from))?));
        }
    }
    Ok(files)
}

/// A number below `bound`; the bias of a remainder is below 2⁻¹⁶ here.
fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    rng.next_u32() as usize % bound.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_bytes() {
        let few = Scenes { train: 3, test: 2, size: 40, ..Scenes::default() };
        let [a, b] = [few.make().unwrap(), few.make().unwrap()];
        assert_eq!(a, b);
        let other = Scenes { seed: 1, ..few.clone() }.make().unwrap();
        assert_ne!(a[0].pixels(), other[0].pixels());
        // Growing the set leaves what was there.
        let more = Scenes { train: 5, ..few }.make().unwrap();
        assert_eq!(more[0].pixels()[..a[0].pixels().len()], *a[0].pixels());
    }

    /// Data written as pictures is read like the arrays.
    #[cfg(feature = "images")]
    #[test]
    fn pictures_are_the_same_data() {
        let few = Scenes { train: 3, test: 2, size: 40, ..Scenes::default() };
        let place = tempfile::tempdir().unwrap();
        for (name, bytes) in pictures(&few).unwrap() {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let read = crate::data::Dataset::open(place.path().to_str().unwrap()).unwrap();
        let made = few.make().unwrap();
        assert_eq!((read.train.pixels(), read.test.pixels()), (made[0].pixels(), made[1].pixels()));
        assert_eq!((read.train.labels(), read.test.labels()), (made[0].labels(), made[1].labels()));
        assert_eq!(read.class_names, CLASS_NAMES);
    }

    #[test]
    fn labels_lie_where_the_ink_is() {
        let scenes = Scenes { train: 20, test: 20, size: 64, digits: 2..=3, ..Scenes::default() };
        for split in scenes.make().unwrap() {
            assert_eq!((split.positions(), split.labels().len()), (64 * 64, 20 * 64 * 64));
            for (&pixel, label) in split.pixels().iter().zip(split.each_label()) {
                assert!(label <= 10 && (label == 0 || u32::from(pixel) + NOISE >= u32::from(INK) * DARKEST / 255));
            }
            for sample in 0..split.count {
                let ink = split.labels_of(sample).iter().filter(|label| **label > 0).count();
                assert!((20..2000).contains(&ink), "{ink} pixels of ink");
            }
            let classes: std::collections::BTreeSet<u32> = split.each_label().collect();
            assert!(classes.len() > 8, "{classes:?}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let base = Scenes::default;
        let wrong = [
            Scenes { size: 27, ..base() },
            Scenes { train: 0, ..base() },
            Scenes { test: usize::MAX, ..base() },
            Scenes { digits: 0..=2, ..base() },
            Scenes { digits: 65..=65, ..base() },
        ];
        for scenes in wrong {
            assert!(matches!(scenes.make(), Err(Error::Input(_))), "{scenes:?}");
        }
    }
}
