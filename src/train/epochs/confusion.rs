//! The confusion matrix of a classifier, with the precision and recall of each class.

pub(crate) mod text;

use crate::data::IGNORED;
use crate::error::{Error, Result};
use crate::processes::Communicator;
use serde::Serialize;

/// The most classes that a matrix is made for: its size is their square.
pub const MOST_CLASSES: usize = 1024;

/// A confusion matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

/// One class of a confusion matrix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassScore {
    /// Samples of this class.
    pub samples: u64,
    /// Samples classified as this class, correctly or not.
    pub predicted: u64,
    /// The share of the samples classified as this class that belong to it; none if there are none.
    pub precision: Option<f64>,
    /// The share of this class's samples that were classified as it; none if there are no samples of it.
    pub recall: Option<f64>,
    /// The harmonic mean of the two, 2·TP / (2·TP + FP + FN); none if there are none of either.
    pub f1: Option<f64>,
}

/// The class of the largest score, the first of equals, as training counts what is right.
pub fn argmax(scores: &[f32]) -> usize {
    (1..scores.len()).fold(0, |best, class| if scores[class] > scores[best] { class } else { best })
}

impl Confusion {
    /// No samples yet.
    ///
    /// # Errors
    /// [`Error::Input`] for more than [`MOST_CLASSES`] classes.
    pub fn new(classes: usize) -> Result<Self> {
        match classes {
            0..=MOST_CLASSES => Ok(Confusion { classes, counts: vec![0; classes * classes] }),
            _ => Err(Error::input(format!("{classes} classes, expected at most {MOST_CLASSES} in a confusion matrix"))),
        }
    }

    /// The matrix of `labels` and the classes predicted for them, one for each sample; ignored labels are not counted.
    ///
    /// # Errors
    /// [`Error::Input`] for classes beyond `classes`, and where there are more of the one than of the other.
    pub fn from_predictions(classes: usize, labels: &[u32], predicted: &[usize]) -> Result<Self> {
        if labels.len() != predicted.len() {
            let (labels, predicted) = (labels.len(), predicted.len());
            return Err(Error::input(format!("{labels} labels and {predicted} predictions, expected as many of both")));
        }
        let mut confusion = Confusion::new(classes)?;
        let counted = labels.iter().zip(predicted).filter(|(label, _)| **label != IGNORED);
        counted.into_iter().try_for_each(|(label, predicted)| confusion.add(*label as usize, *predicted))?;
        Ok(confusion)
    }

    /// The sum of the matrices of all processes, each of other samples.
    ///
    /// # Errors
    /// [`Error::Failed`] if the others cannot be reached.
    pub(in crate::train) fn sum_over(mut self, others: &dyn Communicator) -> Result<Self> {
        let all = others.all_gather(bytemuck::cast_slice(&self.counts))?;
        let all: Vec<u64> = bytemuck::pod_collect_to_vec(&all);
        let each = all.chunks_exact(self.counts.len().max(1));
        self.counts = each.fold(vec![0; self.counts.len()], |sum, counts| {
            sum.iter().zip(counts).map(|(sum, count)| sum + count).collect()
        });
        Ok(self)
    }

    /// The matrix of `labels` and rows of scores, such as probabilities or logits, [samples, classes].
    ///
    /// # Errors
    /// [`Error::Input`] as [`Confusion::from_predictions`], and for rows of other lengths.
    pub fn from_scores<S: AsRef<[f32]>>(classes: usize, labels: &[u32], scores: &[S]) -> Result<Self> {
        if let Some(row) = scores.iter().find(|row| row.as_ref().len() != classes) {
            return Err(Error::input(format!(
                "{} scores, expected one for each of {classes} classes",
                row.as_ref().len()
            )));
        }
        let predicted: Vec<usize> = scores.iter().map(|row| argmax(row.as_ref())).collect();
        Confusion::from_predictions(classes, labels, &predicted)
    }

    /// Counts a sample of the class `actual` that was classified as `predicted`.
    ///
    /// # Errors
    /// [`Error::Input`] if there is no such class.
    pub fn add(&mut self, actual: usize, predicted: usize) -> Result<()> {
        let most = actual.max(predicted);
        if most >= self.classes {
            return Err(Error::input(format!("class {most}, expected one below {}", self.classes)));
        }
        self.counts[actual * self.classes + predicted] += 1;
        Ok(())
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many samples of the class `actual` were classified as `predicted`; 0 for unknown classes.
    pub fn count(&self, actual: usize, predicted: usize) -> u64 {
        if predicted >= self.classes {
            return 0;
        }
        self.counts.get(actual * self.classes + predicted).copied().unwrap_or(0)
    }

    /// The matrix, a row for each actual class, a column for each predicted one.
    pub fn rows(&self) -> Vec<&[u64]> {
        self.counts.chunks(self.classes.max(1)).collect()
    }

    /// The number of samples.
    pub fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The share of correctly classified samples; NaN if there are none.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.classes).map(|class| self.count(class, class)).sum();
        right as f64 / self.samples() as f64
    }

    /// Precision and recall of every class.
    pub fn scores(&self) -> Vec<ClassScore> {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let score = |class: usize| {
            let right = self.count(class, class);
            let samples = (0..self.classes).map(|other| self.count(class, other)).sum();
            let predicted = (0..self.classes).map(|other| self.count(other, class)).sum();
            ClassScore {
                samples,
                predicted,
                precision: share(right, predicted),
                recall: share(right, samples),
                f1: share(2 * right, samples + predicted),
            }
        };
        (0..self.classes).map(score).collect()
    }

    /// Intersection over union of each class, TP / (TP + FP + FN); none if it occurs in neither truth nor prediction.
    pub fn ious(&self) -> Vec<Option<f64>> {
        let iou = |class: usize| {
            let right = self.count(class, class);
            let (of, taken) = (0..self.classes)
                .fold((0, 0), |(of, taken), other| (of + self.count(class, other), taken + self.count(other, class)));
            let all = of + taken - right;
            (all > 0).then(|| right as f64 / all as f64)
        };
        (0..self.classes).map(iou).collect()
    }

    /// The mean over the classes that there are, in truth or in answers; not a number if there are none.
    pub fn mean_iou(&self) -> f64 {
        let found: Vec<f64> = self.ious().into_iter().flatten().collect();
        found.iter().sum::<f64>() / found.len() as f64
    }

    /// The matrix and the scores as text of at most 100 columns; `name` tells what a class is called.
    pub fn table(&self, name: impl Fn(usize) -> String) -> String {
        self.table_within(100, name)
    }

    /// [`Confusion::table`] in at most this many columns, with room for names of eight letters: the scores are printed below the
    /// matrix if there is none beside it, numbers take the place of names, and at last the most frequent errors that of
    /// the matrix.
    pub fn table_within(&self, width: usize, name: impl Fn(usize) -> String) -> String {
        let names: Vec<String> = (0..self.classes).map(name).collect();
        text::text(self, &names, width)
    }

    /// Misclassified samples: actual class, predicted class and count, the most frequent first.
    pub fn errors(&self) -> Vec<(usize, usize, u64)> {
        let pairs = (0..self.classes).flat_map(|actual| (0..self.classes).map(move |predicted| (actual, predicted)));
        let wrong = pairs.filter(|(actual, predicted)| actual != predicted);
        let counted = wrong.map(|(actual, predicted)| (actual, predicted, self.count(actual, predicted)));
        let mut found: Vec<_> = counted.filter(|(.., count)| *count > 0).collect();
        found.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_precision_and_recall() {
        let found = Confusion::from_predictions(3, &[0, 0, 1, 1, 1, 0], &[0, 1, 1, 1, 0, 0]).unwrap();
        assert_eq!(found.rows(), [&[2, 1, 0][..], &[1, 2, 0], &[0, 0, 0]]);
        assert_eq!((found.samples(), found.accuracy()), (6, 4.0 / 6.0));
        assert_eq!((found.count(1, 0), found.count(0, 3), found.count(3, 0)), (1, 0, 0));
        let scores = found.scores();
        let third = 2.0 / 3.0;
        let want =
            ClassScore { samples: 3, predicted: 3, precision: Some(third), recall: Some(third), f1: Some(third) };
        assert_eq!(scores[0], want);
        assert_eq!(scores[2], ClassScore { samples: 0, predicted: 0, precision: None, recall: None, f1: None });
        let lopsided = Confusion::from_predictions(2, &[0, 0, 0, 1], &[0, 1, 1, 1]).unwrap().scores();
        assert_eq!((lopsided[0].precision, lopsided[0].recall), (Some(1.0), Some(1.0 / 3.0)));
        assert_eq!(lopsided[0].f1, Some(0.5));
        assert_eq!((lopsided[1].precision, lopsided[1].recall), (Some(1.0 / 3.0), Some(1.0)));
    }

    #[test]
    fn intersection_over_union_by_hand() {
        let found = Confusion::from_predictions(4, &[0, 0, 0, 1, 1, 2], &[0, 0, 1, 1, 0, 0]).unwrap();
        // 0: two right, one missed, two too many. 1: one right, one missed, one too many. 2: missed. 3: not there.
        assert_eq!(found.ious(), [Some(2.0 / 5.0), Some(1.0 / 3.0), Some(0.0), None]);
        assert!((found.mean_iou() - (0.4 + 1.0 / 3.0) / 3.0).abs() < 1e-15);
        assert!(Confusion::new(3).unwrap().mean_iou().is_nan());
    }

    #[test]
    fn scores_are_counted_by_the_first_of_the_largest() {
        let rows = [[0.1, 0.9], [0.5, 0.5], [-3.0, -4.0]];
        assert_eq!(Confusion::from_scores(2, &[1, 1, 0], &rows).unwrap().rows(), [&[1, 0][..], &[1, 1]]);
        assert_eq!(argmax(&[]), 0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |error: Error, want: &str| assert!(error.to_string().contains(want), "{error}");
        refused(Confusion::from_predictions(2, &[0, 1], &[0]).unwrap_err(), "2 labels and 1 predictions");
        refused(Confusion::from_predictions(2, &[2], &[0]).unwrap_err(), "class 2, expected one below 2");
        refused(Confusion::from_predictions(2, &[0], &[usize::MAX]).unwrap_err(), "expected one below 2");
        refused(Confusion::new(1 << 31).unwrap_err(), "2147483648 classes, expected at most 1024");
        refused(Confusion::from_scores(2, &[0], &[[0.0; 3]]).unwrap_err(), "3 scores, expected one for each of 2");
    }

    #[test]
    fn errors_stand_by_their_number() {
        let found = Confusion::from_predictions(3, &[0, 0, 1, 1, 1, 0], &[1, 2, 0, 0, 1, 0]).unwrap();
        assert_eq!(found.errors(), [(1, 0, 2), (0, 1, 1), (0, 2, 1)]);
    }
}
