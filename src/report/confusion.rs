//! What was taken for what: the confusion matrix of a test set, precision and recall, and the surest mistakes.

use crate::error::{Error, Result};
use serde::Serialize;

/// How one class fared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassRates {
    /// Samples of the class.
    pub samples: u64,
    /// Of the samples taken for this class, the share that are of it; `None` where there are none.
    pub precision: Option<f64>,
    /// Of the samples of this class, the share taken for it; `None` where there are none.
    pub recall: Option<f64>,
    /// The harmonic mean of the two, 2·TP / (2·TP + FP + FN); `None` where there are none of either.
    pub f1: Option<f64>,
}

/// A test set's answers, counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confusion {
    /// `counts[label][answer]`: samples of the class `label` that were taken for `answer`.
    pub counts: Vec<Vec<u64>>,
    /// The share of samples that were right.
    pub accuracy: f64,
    /// The mean cross-entropy.
    pub loss: f64,
    /// The number of samples.
    pub samples: usize,
    /// Precision and recall, class by class.
    pub rates: Vec<ClassRates>,
}

/// The answer to one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The class with the largest logit, the first of equals.
    pub class: usize,
    /// The probability of each class.
    pub probabilities: Vec<f64>,
}

/// What logits say: the class and, by softmax, the probabilities.
pub fn answer(logits: &[f32]) -> Answer {
    let class = (1..logits.len()).fold(0, |best, c| if logits[c] > logits[best] { c } else { best });
    let most = logits.get(class).copied().map_or(0.0, f64::from);
    let powers: Vec<f64> = logits.iter().map(|&x| (f64::from(x) - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    Answer { class, probabilities: powers.into_iter().map(|p| p / sum).collect() }
}

impl Confusion {
    /// Counts the answers `logits` [samples, classes] to samples with these `labels`.
    ///
    /// # Errors
    /// [`Error::Failed`] where the lengths do not fit, or a label is beyond the classes.
    pub fn new(logits: &[f32], labels: &[u8], classes: usize) -> Result<Confusion> {
        if classes == 0 || labels.is_empty() || logits.len() != labels.len() * classes {
            let (found, samples) = (logits.len(), labels.len());
            return Err(Error::failed(format!("{found} logits, {samples} samples of {classes} classes are expected")));
        }
        let mut counts = vec![vec![0; classes]; classes];
        let mut loss = 0.0;
        for (row, &label) in logits.chunks(classes).zip(labels) {
            let label = usize::from(label);
            let answer = answer(row);
            let place = counts.get_mut(label).map(|row| &mut row[answer.class]);
            *place.ok_or_else(|| Error::failed(format!("label {label}: below {classes} is expected")))? += 1;
            loss -= log_probability(row, label);
        }
        let samples = labels.len();
        let right: u64 = (0..classes).map(|class| counts[class][class]).sum();
        let rates = (0..classes).map(|class| rates(&counts, class)).collect();
        let accuracy = right as f64 / samples as f64;
        Ok(Confusion { counts, accuracy, loss: loss / samples as f64, samples, rates })
    }
}

fn rates(counts: &[Vec<u64>], class: usize) -> ClassRates {
    let right = counts[class][class];
    let samples: u64 = counts[class].iter().sum();
    let answers: u64 = counts.iter().map(|row| row[class]).sum();
    let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
    ClassRates {
        samples,
        precision: share(right, answers),
        recall: share(right, samples),
        f1: share(2 * right, samples + answers),
    }
}

/// ln softmax(logits)[class], in a form that does not overflow.
fn log_probability(logits: &[f32], class: usize) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&x| (f64::from(x) - f64::from(most)).exp()).sum();
    f64::from(logits[class]) - f64::from(most) - sum.ln()
}

/// The samples that were taken for another class, those first where the net was surest; at most `limit`.
pub fn surest_mistakes(logits: &[f32], labels: &[u8], classes: usize, limit: usize) -> Vec<(usize, Answer)> {
    let answers = logits.chunks(classes.max(1)).zip(labels).enumerate();
    let wrong = answers.map(|(index, (row, &label))| (index, answer(row), usize::from(label)));
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
    fn a_small_matrix_by_hand() {
        let answers = [(0, 0), (0, 0), (0, 1), (0, 1), (1, 1), (1, 0), (0, 0)];
        let logits: Vec<f32> = answers.iter().flat_map(|&(_, class)| one(class, 2.0)).collect();
        let labels: Vec<u8> = answers.iter().map(|&(label, _)| label).collect();
        let found = Confusion::new(&logits, &labels, 3).expect("a matrix");
        assert_eq!(found.counts, [[3, 2, 0], [1, 1, 0], [0, 0, 0]]);
        assert_eq!((found.accuracy, found.samples), (4.0 / 7.0, 7));
        let rates = |samples, precision, recall, f1| ClassRates { samples, precision, recall, f1 };
        assert_eq!(found.rates[0], rates(5, Some(0.75), Some(0.6), Some(6.0 / 9.0)));
        assert_eq!(found.rates[1], rates(2, Some(1.0 / 3.0), Some(0.5), Some(0.4)));
        assert_eq!(found.rates[2], rates(0, None, None, None));
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
        assert!(Confusion::new(&[0.0; 5], &[0, 1], 3).is_err());
        assert!(Confusion::new(&[0.0; 6], &[0, 3], 3).is_err());
        assert!(Confusion::new(&[], &[], 3).is_err());
    }
}
