//! The confusion matrix of a test set, precision and recall, and the most confident mistakes.

use crate::error::{Error, Result};
use crate::train::epochs::confusion::{ClassScore, Confusion, argmax};
use serde::Serialize;

/// The result of a net on a test set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestResults {
    /// `counts[label][answer]`: samples of the class `label` that were classified as `answer`.
    pub counts: Vec<Vec<u64>>,
    /// The share of samples that were right.
    pub accuracy: f64,
    /// The mean cross-entropy.
    pub loss: f64,
    /// The number of samples.
    pub samples: usize,
    /// Precision and recall, class by class.
    pub rates: Vec<ClassScore>,
    /// Of pixels: intersection over union, class by class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ious: Option<Vec<Option<f64>>>,
    /// Of pixels: the mean of these over the classes that there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_iou: Option<f64>,
}

/// The answer to one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The class with the largest logit, the first of equals.
    pub class: usize,
    /// The probability of each class.
    pub probabilities: Vec<f64>,
}

/// The answer from logits: the class and, by softmax, the probabilities.
pub fn answer(logits: &[f32]) -> Answer {
    let class = argmax(logits);
    let most = logits.get(class).copied().map_or(0.0, f64::from);
    let powers: Vec<f64> = logits.iter().map(|&x| (f64::from(x) - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    Answer { class, probabilities: powers.into_iter().map(|p| p / sum).collect() }
}

impl TestResults {
    /// Results from existing counts, with the mean loss.
    pub fn of(confusion: &Confusion, loss: f64) -> TestResults {
        TestResults {
            counts: confusion.rows().into_iter().map(<[u64]>::to_vec).collect(),
            accuracy: confusion.accuracy(),
            loss,
            samples: confusion.samples() as usize,
            rates: confusion.scores(),
            ious: None,
            mean_iou: None,
        }
    }

    /// `of` counts of pixels, with intersection over union.
    pub fn of_pixels(confusion: &Confusion, loss: f64) -> TestResults {
        let mean = confusion.mean_iou();
        let mean_iou = Some(mean).filter(|mean| mean.is_finite());
        TestResults { ious: Some(confusion.ious()), mean_iou, ..TestResults::of(confusion, loss) }
    }

    /// Counts the answers `logits` [samples, classes] to samples with these `labels`.
    ///
    /// # Errors
    /// [`Error::Input`] if the lengths do not fit, a label is beyond the classes, or those are too many to count.
    pub fn new(logits: &[f32], labels: &[u32], classes: usize) -> Result<TestResults> {
        if classes == 0 || labels.is_empty() {
            return Err(Error::input(format!("{} samples of {classes} classes, expected some", labels.len())));
        }
        let rows: Vec<&[f32]> = logits.chunks(classes).collect();
        let confusion = Confusion::from_scores(classes, labels, &rows)?;
        let loss: f64 = rows.iter().zip(labels).map(|(row, &label)| -log_probability(row, label as usize)).sum();
        Ok(TestResults::of(&confusion, loss / labels.len() as f64))
    }
}

/// ln softmax(logits)[class], in a form that does not overflow.
pub(super) fn log_probability(logits: &[f32], class: usize) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&x| (f64::from(x) - f64::from(most)).exp()).sum();
    f64::from(logits[class]) - f64::from(most) - sum.ln()
}

/// The misclassified samples, highest confidence first; at most `limit`.
pub fn surest_mistakes(logits: &[f32], labels: &[u32], classes: usize, limit: usize) -> Vec<(usize, Answer)> {
    let answers = logits.chunks(classes.max(1)).zip(labels).enumerate();
    let wrong = answers.map(|(index, (row, &label))| (index, answer(row), label as usize));
    let mut wrong: Vec<(usize, Answer)> =
        wrong.filter(|(_, answer, label)| answer.class != *label).map(|(index, answer, _)| (index, answer)).collect();
    let sureness = |answer: &Answer| answer.probabilities.get(answer.class).copied().unwrap_or(0.0);
    // The sort is stable: equals stay in the order of the data.
    wrong.sort_by(|(_, a), (_, b)| sureness(b).total_cmp(&sureness(a)));
    wrong.truncate(limit);
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits that answer `class` surely.
    fn one(class: usize, sure: f32) -> [f32; 3] {
        std::array::from_fn(|c| if c == class { sure } else { 0.0 })
    }

    #[test]
    fn a_small_set_by_hand() {
        let answers = [(0, 0), (0, 0), (0, 1), (0, 1), (1, 1), (1, 0), (0, 0)];
        let logits: Vec<f32> = answers.iter().flat_map(|&(_, class)| one(class, 2.0)).collect();
        let labels: Vec<u32> = answers.iter().map(|&(label, _)| label).collect();
        let found = TestResults::new(&logits, &labels, 3).expect("results");
        assert_eq!(found.counts, [[3, 2, 0], [1, 1, 0], [0, 0, 0]]);
        assert_eq!((found.accuracy, found.samples), (4.0 / 7.0, 7));
        assert_eq!(found.rates.iter().map(|rates| rates.recall).collect::<Vec<_>>(), [Some(0.6), Some(0.5), None]);
        // A sure and right answer costs ln(1 + 2/e²), a sure and wrong one 2 more.
        let right = (2.0 * (-2.0f64).exp()).ln_1p();
        assert!((found.loss - (right + 2.0 * 3.0 / 7.0)).abs() < 1e-12, "{}", found.loss);
    }

    #[test]
    fn the_surest_mistakes_come_first() {
        let logits = [one(1, 1.0), one(0, 9.0), one(2, 5.5), one(1, 5.0), one(1, 1e4)].concat();
        let found = surest_mistakes(&logits, &[0, 0, 0, 0, 1], 3, 2);
        assert_eq!(found.iter().map(|(index, answer)| (*index, answer.class)).collect::<Vec<_>>(), [(2, 2), (3, 1)]);
        assert_eq!(surest_mistakes(&logits, &[0, 0, 0, 0, 1], 3, 9).len(), 3);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(TestResults::new(&[0.0; 5], &[0, 1], 3).is_err());
        assert!(TestResults::new(&[0.0; 6], &[0, 3], 3).is_err());
        assert!(TestResults::new(&[], &[], 3).is_err());
    }
}
