//! Errors of predicted numbers, and accuracy of yes-or-no answers.

use crate::data::{Column, Element, Scale, Split};
use crate::error::{Error, Result};
use crate::train::epochs::confusion::ClassScore;
use serde::Serialize;

/// How near a model's numbers come to a target, in the target's own units.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumberScore {
    /// The target's name.
    pub name: String,
    /// The number of samples.
    pub samples: u64,
    /// The mean absolute error.
    pub mae: f64,
    /// The root of the mean squared error.
    pub rmse: f64,
    /// The coefficient of determination, 1 - Σ(y - ŷ)² / Σ(y - ȳ)²; none if all targets are the same.
    pub r2: Option<f64>,
}

/// The numbers of every sample beside their targets, in the targets' own units.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// The truth: for each target, a number for each sample.
    pub truth: Vec<Vec<f64>>,
    /// The model's output, in the same order.
    pub given: Vec<Vec<f64>>,
}

impl Numbers {
    /// The targets of a split's samples and the outputs of a model for them, [samples, targets] standardised.
    ///
    /// # Errors
    /// [`Error::Input`] if there are more of the one than of the other, or the column stays in a file.
    pub fn new(scales: &[Scale], truth: &Column, outputs: &[f32]) -> Result<Numbers> {
        let (bytes, width) = (truth.rows(0..truth.count())?, scales.len().max(1));
        if outputs.len() != truth.count() * width || truth.field().element != Element::F32 {
            let (found, samples) = (outputs.len(), truth.count());
            return Err(Error::input(format!("{found} numbers for {samples} samples of {width} targets")));
        }
        let restored = |each: &dyn Fn(usize) -> f32| -> Vec<Vec<f64>> {
            let target = |(c, scale): (usize, &Scale)| {
                (0..truth.count()).map(|row| scale.restored(each(row * width + c))).collect()
            };
            scales.iter().enumerate().map(target).collect()
        };
        Ok(Numbers { truth: restored(&|at| Element::F32.value(&bytes, at) as f32), given: restored(&|at| outputs[at]) })
    }

    /// How near they come, target by target.
    pub fn scores(&self, scales: &[Scale]) -> Vec<NumberScore> {
        let score = |(scale, (truth, given)): (&Scale, (&Vec<f64>, &Vec<f64>))| {
            let count = truth.len() as f64;
            let mean = truth.iter().sum::<f64>() / count;
            let sum = |f: &dyn Fn(f64, f64) -> f64| truth.iter().zip(given).map(|(y, x)| f(*y, *x)).sum::<f64>();
            let (squares, spread) = (sum(&|y, x| (y - x).powi(2)), sum(&|y, _| (y - mean).powi(2)));
            NumberScore {
                name: scale.name.clone(),
                samples: truth.len() as u64,
                mae: sum(&|y, x| (y - x).abs()) / count,
                rmse: (squares / count).sqrt(),
                r2: (!Scale::is_constant(truth.iter().copied()) && spread > 0.0).then(|| 1.0 - squares / spread),
            }
        };
        scales.iter().zip(self.truth.iter().zip(&self.given)).map(score).collect()
    }
}

/// The yes-or-no answers of a split's samples, [samples, answers]; of a class of two, whether it is the second.
///
/// # Errors
/// [`Error::Input`] if the split has none.
pub fn answers_of(split: &Split) -> Result<Vec<bool>> {
    let schema = split.schema();
    let column = split.column(&schema.target()?.name).ok_or_else(|| Error::input("a split without answers"))?;
    Ok(column.words(0..column.count()).map(|word| word == 1).collect())
}

/// Precision and recall of each of `outputs` answers: a logit above 0 says yes.
///
/// # Errors
/// [`Error::Input`] if there are more logits than answers, or the other way round.
pub fn answer_scores(truth: &[bool], logits: &[f32], outputs: usize) -> Result<Vec<ClassScore>> {
    if truth.len() != logits.len() {
        let (answers, logits) = (truth.len(), logits.len());
        return Err(Error::input(format!("{answers} answers and {logits} logits, expected as many of both")));
    }
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let score = |answer: usize| {
        let pairs = || truth.iter().zip(logits).skip(answer).step_by(outputs.max(1)).map(|(yes, x)| (*yes, *x > 0.0));
        let count = |which: fn(&(bool, bool)) -> bool| pairs().filter(which).count() as u64;
        let (samples, predicted, right) = (count(|p| p.0), count(|p| p.1), count(|p| p.0 && p.1));
        ClassScore {
            samples,
            predicted,
            precision: share(right, predicted),
            recall: share(right, samples),
            f1: share(2 * right, samples + predicted),
        }
    };
    Ok((0..outputs).map(score).collect())
}

/// The sigmoid of a logit, in a form that does not overflow.
pub fn sigmoid(x: f32) -> f32 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Field;

    #[test]
    fn numbers_are_scored_in_their_own_units() {
        let scales = vec![Scale { name: "price".into(), mean: 10.0, deviation: 2.0 }];
        let bytes = [-1.0f32, 0.0, 1.0, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let column = Column::new(Field::table("numbers", scales.clone()), bytes).unwrap();
        let numbers = Numbers::new(&scales, &column, &[-1.0, 0.5, 1.0, 1.0]).unwrap();
        assert_eq!(numbers.truth, [[8.0, 10.0, 12.0, 14.0]]);
        assert_eq!(numbers.given, [[8.0, 11.0, 12.0, 12.0]]);
        let [score] = &numbers.scores(&scales)[..] else { panic!("one target") };
        assert_eq!((score.mae, score.rmse, score.samples), (0.75, 1.25f64.sqrt(), 4));
        assert_eq!(score.r2, Some(1.0 - 5.0 / 20.0));
        assert!(Numbers::new(&scales, &column, &[0.0; 3]).is_err());
    }

    #[test]
    fn answers_are_counted_by_the_sign_of_their_logits() {
        let truth = [true, false, true, true, false, false];
        let scores = answer_scores(&truth, &[2.0, -1.0, -0.5, 3.0, 1.0, 0.0], 2).unwrap();
        let one = |s: &ClassScore| (s.samples, s.predicted, s.precision, s.recall);
        assert_eq!(one(&scores[0]), (2, 2, Some(0.5), Some(0.5)));
        assert_eq!(one(&scores[1]), (1, 1, Some(1.0), Some(1.0)));
        assert!(answer_scores(&truth, &[0.0], 2).is_err());
        assert_eq!([sigmoid(0.0), sigmoid(-200.0), sigmoid(200.0)], [0.5, 0.0, 1.0]);
    }
}
