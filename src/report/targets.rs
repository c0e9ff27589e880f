//! Results for targets other than classes: the errors of predicted numbers, and the accuracy of yes-or-no answers.

use crate::error::Result;
use crate::model::Model;
use crate::train::epochs::confusion::ClassScore;
use crate::train::epochs::scores::{NumberScore, Numbers, answer_scores};
use serde::Serialize;

/// How many samples a page draws as points.
const POINTS: usize = 1000;

/// A target that is a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumberResults {
    /// How near the net comes.
    pub score: NumberScore,
    /// True and given numbers of test samples, evenly chosen where there are more than a page draws.
    pub points: Vec<[f64; 2]>,
}

/// The yes-or-no answers to a test set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnswerResults {
    /// The share of answers that are right.
    pub accuracy: f64,
    /// The share of samples of which all answers are right.
    pub all_right: f64,
    /// The number of samples.
    pub samples: usize,
    /// Name, precision and recall of each answer.
    pub answers: Vec<(String, ClassScore)>,
}

/// The results for each target of a model of numbers.
pub fn numbers(model: &Model, found: &Numbers) -> Vec<NumberResults> {
    let scores = found.scores(model.task.targets()).into_iter();
    let pairs = found.truth.iter().zip(&found.given);
    let target = |(score, (truth, given)): (NumberScore, (&Vec<f64>, &Vec<f64>))| {
        let step = truth.len().div_ceil(POINTS).max(1);
        let points = truth.iter().zip(given).step_by(step).map(|(y, x)| [*y, *x]).collect();
        NumberResults { score, points }
    };
    scores.zip(pairs).map(target).collect()
}

/// The results for each of `outputs` answers; `name` gives an answer's name.
///
/// # Errors
/// [`crate::Error::Input`] if there are more logits than answers, or the other way round.
pub fn answers(
    truth: &[bool],
    logits: &[f32],
    outputs: usize,
    name: impl Fn(usize) -> String,
) -> Result<AnswerResults> {
    let scores = answer_scores(truth, logits, outputs)?;
    let right: Vec<bool> = truth.iter().zip(logits).map(|(yes, x)| *yes == (*x > 0.0)).collect();
    let share = |part: usize, whole: usize| part as f64 / whole as f64;
    let samples = right.len() / outputs.max(1);
    Ok(AnswerResults {
        accuracy: share(right.iter().filter(|right| **right).count(), right.len()),
        all_right: share(right.chunks(outputs.max(1)).filter(|row| row.iter().all(|right| *right)).count(), samples),
        samples,
        answers: scores.into_iter().enumerate().map(|(at, score)| (name(at), score)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_one_by_one_and_together() {
        let found = answers(&[true, false, true, true], &[1.0, -1.0, 1.0, -1.0], 2, |at| at.to_string()).unwrap();
        assert_eq!((found.accuracy, found.all_right, found.samples), (0.75, 0.5, 2));
        assert_eq!((found.answers[1].0.as_str(), found.answers[1].1.recall), ("1", Some(0.0)));
    }
}
