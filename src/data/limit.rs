//! The first samples of a split, or, if these lack a class, a stratified draw.

use crate::data::Split;
use crate::error::Result;
use crate::step::control::{pcg, shuffled};
use std::collections::BTreeMap;

impl Split {
    /// Keeps `limit` samples: the first in file order; or where the samples lie class by class, as those of a folder do, and a class
    /// is missing from the first, a draw of every class by its share, by the seed. Says whether it was drawn.
    ///
    /// # Errors
    /// [`crate::Error::Input`] if `limit` is 0, and where samples are in a file that cannot be read any more.
    pub fn limit(&mut self, limit: usize, seed: u64) -> Result<bool> {
        let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        if limit > 0 && limit < self.count && self.positions() == 1 {
            self.each_label().enumerate().for_each(|(at, label)| classes.entry(label).or_default().push(at));
        }
        let all_there = classes.values().all(|members| members.first().is_some_and(|first| *first < limit));
        let mixed = classes.values().any(|members| members.windows(2).any(|pair| pair[1] != pair[0] + 1));
        if all_there || mixed {
            return self.truncate(limit).map(|()| false);
        }
        let key = pcg(seed as u32 ^ 0x11_517D) ^ pcg((seed >> 32) as u32).rotate_left(16);
        // Whole shares, and what is left to those that lack most of theirs; of equals the first.
        let share = |members: &[usize]| limit as f64 * members.len() as f64 / self.count as f64;
        let mut counts: BTreeMap<u32, usize> =
            classes.iter().map(|(class, members)| (*class, share(members).floor() as usize)).collect();
        let mut lacking: Vec<(u32, f64)> =
            classes.iter().map(|(class, members)| (*class, counts[class] as f64 - share(members))).collect();
        lacking.sort_by(|a, b| (counts[&a.0] > 0, a.1).partial_cmp(&(counts[&b.0] > 0, b.1)).unwrap_or(a.0.cmp(&b.0)));
        let left = limit - counts.values().sum::<usize>();
        for (class, _) in lacking.iter().take(left) {
            *counts.entry(*class).or_default() += 1;
        }
        let mut members: Vec<usize> = Vec::with_capacity(limit);
        for (class, of_class) in &classes {
            let drawn = |place| shuffled(place, of_class.len() as u32, key, *class) as usize;
            members.extend((0..counts[class] as u32).map(|place| of_class[drawn(place)]));
        }
        members.sort_unstable();
        *self = self.chosen(&members)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_there_whatever_the_order() {
        let split =
            |labels: Vec<u8>| Split::new([1, 1, 1], (0..labels.len()).map(|n| n as u8).collect(), labels).unwrap();
        let sorted = || split([vec![0; 30], vec![1; 60], vec![2; 10]].concat());
        let count = |split: &Split, class| split.each_label().filter(|label| *label == class).count();
        let mut few = sorted();
        assert_eq!(few.limit(20, 7), Ok(true));
        assert_eq!([0, 1, 2].map(|class| count(&few, class)), [6, 12, 2]);
        let mut again = sorted();
        again.limit(20, 7).unwrap();
        assert_eq!(few.pixels(), again.pixels(), "one seed, one draw");
        again = sorted();
        again.limit(20, 8).unwrap();
        assert_ne!(few.pixels(), again.pixels());
        let mut three = sorted();
        three.limit(3, 0).unwrap();
        assert_eq!([0, 1, 2].map(|class| count(&three, class)), [1, 1, 1]);
        // Where the first samples have every class they are taken as they come.
        let mut mixed = split((0..90).map(|n| n % 3).collect());
        assert_eq!(mixed.limit(4, 7), Ok(false));
        assert_eq!(mixed.pixels(), [0, 1, 2, 3]);
        let mut rare = split((0..90).map(|n| u8::from(n % 30 == 29)).collect());
        assert_eq!((rare.limit(4, 7), rare.pixels()), (Ok(false), &[0, 1, 2, 3][..]));
        assert!(sorted().limit(0, 7).is_err());
        assert_eq!((sorted().limit(100, 7), sorted().limit(500, 7)), (Ok(false), Ok(false)));
    }
}
