//! A share of the training samples held out for validation, so that the test set is used once, at the end.

use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::step::control::{pcg, shuffled};

impl Dataset {
    /// The data of a run that validates on its own part: that is its `test`, and the test set comes beside it. `None`
    /// where the data has no such part.
    pub fn with_own_validation(&self) -> Option<(Dataset, Split)> {
        let validation = self.validation.clone()?;
        Some((Dataset { test: validation, validation: None, ..self.clone() }, self.test.clone()))
    }

    /// The data of a run that validates on a share of its training samples: they are its `test`, the others its `train`,
    /// both in file order. The test set comes beside it.
    ///
    /// The share is the same for every class (rounded to whole samples); if each pixel has a label, it is drawn from
    /// all images, at random: which samples these are follows from the seed alone. Of a stream of text it is the end.
    ///
    /// # Errors
    /// [`Error::Input`] if one of the two would be left without samples.
    pub fn with_validation(&self, share: f64, seed: u64) -> Result<(Dataset, Split)> {
        if self.text.is_some() && self.train.schema().target()?.stream.is_some() {
            // Windows of a text lie in its order: its end is held out, as in nanoGPT.
            let count = self.train.count;
            let kept = ((count as f64 * share).round() as usize).min(count);
            return self.divided(&|at| at >= count - kept, share);
        }
        let mut classes: Vec<Vec<usize>> = vec![Vec::new(); self.classes.max(1)];
        for at in 0..self.train.count {
            // An image whose pixels have labels is of no class.
            let class = if let [label] = self.train.labels_of(at)[..] { label as usize } else { 0 };
            // A label that is ignored is none of them.
            classes[class.min(self.classes.saturating_sub(1))].push(at);
        }
        let key = pcg(seed as u32 ^ 0x7A11_DA7E) ^ pcg((seed >> 32) as u32).rotate_left(16);
        let mut kept_aside = vec![false; self.train.count];
        for (class, members) in classes.iter().enumerate() {
            let take = (members.len() as f64 * share).round() as u32;
            for place in 0..take.min(members.len() as u32) {
                let drawn = shuffled(place, members.len() as u32, key, class as u32);
                kept_aside[members[drawn as usize]] = true;
            }
        }
        self.divided(&|at| kept_aside[at], share)
    }

    /// The samples held out for validation, and the others.
    fn divided(&self, kept_aside: &dyn Fn(usize) -> bool, share: f64) -> Result<(Dataset, Split)> {
        let part = |aside: bool| {
            let own = |at: &usize| kept_aside(*at) == aside;
            let members: Vec<usize> = (0..self.train.count).filter(own).collect();
            if members.is_empty() {
                let (count, what) = (self.train.count, if aside { "validate on" } else { "train on" });
                return Err(Error::input(format!(
                    "validation split {share}: of the {count} training samples of {} it leaves none to {what}",
                    self.name
                )));
            }
            self.train.chosen(&members)
        };
        let (train, validation) = (part(false)?, part(true)?);
        Ok((Dataset { train, validation: None, test: validation, ..self.clone() }, self.test.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::formats::npy;

    /// 100 samples of class 0, 50 of class 1, 7 of class 2, each with its number as pixels.
    fn data() -> Dataset {
        let labels: Vec<u8> =
            (0..157).map(|at| if at % 3 == 0 && at < 150 { 1 } else { u8::from(at >= 150) * 2 }).collect();
        let split =
            |labels: Vec<u8>| Split::new([1, 2, 1], (0..labels.len() * 2).map(|p| (p / 2) as u8).collect(), labels);
        Dataset::new("test", split(labels).unwrap(), split(vec![0, 1, 2]).unwrap()).unwrap()
    }

    #[test]
    fn the_share_is_taken_of_every_class_and_nothing_is_lost() {
        let data = data();
        let (run, test) = data.with_validation(0.2, 3).unwrap();
        let count = |split: &Split, class: u32| split.each_label().filter(|&label| label == class).count();
        assert_eq!([0, 1, 2].map(|class| count(&run.test, class)), [20, 10, 1]);
        assert_eq!([0, 1, 2].map(|class| count(&run.train, class)), [80, 40, 6]);
        let both = |split: &Split| -> Vec<(u8, u32)> {
            split.pixels().chunks(2).zip(split.each_label()).map(|(image, label)| (image[0], label)).collect()
        };
        let ascends = |split: &Split| split.pixels().is_sorted();
        assert!(ascends(&run.train) && ascends(&run.test), "in file order");
        let mut all = [both(&run.train), both(&run.test)].concat();
        all.sort_unstable();
        assert_eq!(all, both(&data.train));
        assert_eq!((test.labels(), run.classes), (data.test.labels(), data.classes));
        let again = data.with_validation(0.2, 3).unwrap().0;
        assert_eq!(again.test.pixels(), run.test.pixels(), "one seed, one split");
        assert_ne!(data.with_validation(0.2, 4).unwrap().0.test.pixels(), run.test.pixels());
        assert_ne!(data.with_validation(0.2, 3 << 32).unwrap().0.test.pixels(), run.test.pixels());
    }

    /// Images that stay in their file are the same ones, and where pixels have labels so are these.
    #[test]
    fn a_file_is_split_as_memory_is() {
        let place = tempfile::tempdir().unwrap();
        let pixels: Vec<u8> = (0..157 * 6).map(|at| (at * 7 % 251) as u8).collect();
        let of_images: Vec<u8> = (0..157).map(|at| (at * at % 3) as u8).collect();
        let of_pixels: Vec<u8> = pixels.iter().map(|pixel| pixel % 5).collect();
        for (shape, labels) in [(&[157][..], of_images), (&[157, 2, 3], of_pixels)] {
            for files in npy::FILES.chunks(2) {
                std::fs::write(place.path().join(files[0]), npy::bytes(&[157, 2, 3], &pixels).unwrap()).unwrap();
                std::fs::write(place.path().join(files[1]), npy::bytes(shape, &labels).unwrap()).unwrap();
            }
            let [held, filed] = [u64::MAX, 0].map(|bytes| npy::read_holding(place.path(), bytes).unwrap());
            let (held, filed) = (held.with_validation(0.3, 5).unwrap().0, filed.with_validation(0.3, 5).unwrap().0);
            for (held, filed) in [(&held.train, &filed.train), (&held.test, &filed.test)] {
                assert!(!held.is_in_file() && filed.is_in_file() && filed.pixels().is_empty());
                let numbers = |split: &Split| (split.count, split.positions(), split.labels());
                assert_eq!(numbers(held), numbers(filed));
                assert_eq!(held.rows(0..held.count), filed.rows(0..held.count));
                assert_eq!(held.rows(3..7), filed.rows(3..7));
            }
            // Each image once, with its labels.
            let mut all: Vec<(Vec<u8>, Vec<u32>)> = Vec::new();
            for split in [&filed.train, &filed.test] {
                all.extend((0..split.count).map(|n| (split.image(n).unwrap().to_vec(), split.labels_of(n))));
            }
            let each = labels.len() / 157;
            let mut whole: Vec<(Vec<u8>, Vec<u32>)> = pixels
                .chunks(6)
                .zip(labels.chunks(each))
                .map(|(image, label)| (image.to_vec(), label.iter().copied().map(u32::from).collect()))
                .collect();
            all.sort_unstable();
            whole.sort_unstable();
            assert_eq!(all, whole);
        }
    }

    #[test]
    fn neither_side_may_be_empty() {
        for (share, words) in [(0.001, "none to validate on"), (0.999, "none to train on")] {
            let error = data().with_validation(share, 0).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("157"), "{error}");
        }
    }
}
