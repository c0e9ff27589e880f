//! Top-5 accuracy: how often the true class is among the five most likely, for data with more than five classes.

use crate::data::IGNORED;

/// The most likely classes that count.
pub const PLACES: usize = 5;

/// How often the true class was among the [`PLACES`] largest scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopCount {
    right: u64,
    samples: u64,
}

impl TopCount {
    /// Counts a sample by its scores, such as logits, one for each class; ignored labels are not counted. Of equal scores the first
    /// ranks higher, as for the accuracy.
    pub fn add(&mut self, scores: &[f32], label: u32) {
        if label == IGNORED {
            return;
        }
        self.samples += 1;
        let label = label as usize;
        // A score that is not a number is never among the largest.
        let Some(own) = scores.get(label).filter(|own| !own.is_nan()) else { return };
        let before = |(class, score): (usize, &f32)| score > own || score == own && class < label;
        self.right += u64::from(scores.iter().enumerate().filter(|score| before(*score)).count() < PLACES);
    }

    /// The share of samples that were right; none of data with at most five classes, of which it says nothing, and of no samples.
    pub fn accuracy(&self, classes: usize) -> Option<f64> {
        (classes > PLACES && self.samples > 0).then(|| self.right as f64 / self.samples as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_true_class_counts_among_the_five_largest_and_the_first_of_equals_goes_before() {
        let mut count = TopCount::default();
        let scores = [0.5, 3.0, 1.0, 1.0, 2.0, 1.0, -1.0];
        // In order: 1, 4, 2, 3, 5 and then 0 and 6.
        for (label, right) in [(1, 1), (5, 2), (0, 2), (6, 2), (IGNORED, 2), (3, 3)] {
            count.add(&scores, label);
            assert_eq!(count.right, right, "label {label}");
        }
        assert_eq!((count.samples, count.accuracy(7), count.accuracy(5)), (5, Some(0.6), None));
        count.add(&[f32::NAN; 7], 0);
        count.add(&[1.0; 7], 4);
        count.add(&[1.0; 7], 5);
        assert_eq!((count.right, count.samples), (4, 8));
        assert_eq!(TopCount::default().accuracy(10), None);
    }
}
