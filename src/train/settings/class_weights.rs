//! The weight of each class in the loss: equal, given numbers, or by frequency.

use crate::data::{IGNORED, Split};
use crate::error::{Error, Result};
use crate::train::settings::options::TrainOptions;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The word for [`ClassWeights::Balanced`], in flags and files.
const BALANCED: &str = "balanced";

/// How much each class weighs in the loss. A file has a list of numbers, or `"balanced"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub enum ClassWeights {
    /// Equal weights.
    #[default]
    Equal,
    /// n / (k · n_c) of n labels, k classes that occur and n_c labels of the class c (scikit-learn's `balanced`).
    Balanced,
    /// A number for each class.
    Given(Vec<f64>),
}

/// The form in files.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Numbers(Vec<f64>),
    Name(String),
}

impl TryFrom<Stored> for ClassWeights {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        match stored {
            Stored::Numbers(weights) => Ok(weights.into()),
            Stored::Name(name) if name == BALANCED => Ok(ClassWeights::Balanced),
            Stored::Name(name) => Err(format!("class weights '{name}': expected a list of numbers, or \"{BALANCED}\"")),
        }
    }
}

impl From<ClassWeights> for Stored {
    fn from(weights: ClassWeights) -> Stored {
        match weights {
            ClassWeights::Equal => Stored::Numbers(Vec::new()),
            ClassWeights::Balanced => Stored::Name(BALANCED.into()),
            ClassWeights::Given(weights) => Stored::Numbers(weights),
        }
    }
}

impl From<Vec<f64>> for ClassWeights {
    fn from(weights: Vec<f64>) -> ClassWeights {
        if weights.is_empty() { ClassWeights::Equal } else { ClassWeights::Given(weights) }
    }
}

impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |part: &str| format!("'{part}': expected a number for each class, such as 0.2,1,1, or {BALANCED}");
        match text.trim() {
            "" => Ok(ClassWeights::Equal),
            BALANCED => Ok(ClassWeights::Balanced),
            text => {
                let numbers = text.split(',').map(|part| part.trim().parse().map_err(|_| wrong(part)));
                numbers.collect::<Result<Vec<f64>, _>>().map(ClassWeights::from)
            }
        }
    }
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            ClassWeights::Equal => Ok(()),
            ClassWeights::Balanced => write!(f, "{BALANCED}"),
            ClassWeights::Given(weights) => {
                write!(f, "{}", weights.iter().map(f64::to_string).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Balanced weights, with the counts that they come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Balance {
    /// Labels of each class, of samples or of pixels.
    pub counts: Vec<u64>,
    /// The weight of each class; 1 where there is no label of it.
    pub weights: Vec<f64>,
}

impl Balance {
    /// Counts the labels of a split; ignored ones do not count.
    ///
    /// # Errors
    /// [`Error::Input`] if none is left.
    pub fn of(split: &Split, classes: usize) -> Result<Balance> {
        let mut counts = vec![0u64; classes];
        for label in split.each_label().filter(|label| *label != IGNORED) {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
        Balance::from_counts(counts)
    }

    /// The weights of classes that occur so often.
    fn from_counts(counts: Vec<u64>) -> Result<Balance> {
        let (all, present) = (counts.iter().sum::<u64>(), counts.iter().filter(|count| **count > 0).count());
        if all == 0 {
            return Err(Error::input("class weights balanced: found no label in the training samples, expected some"));
        }
        let weight = |count: &u64| match count {
            0 => 1.0,
            count => all as f64 / (present as f64 * *count as f64),
        };
        let weights = counts.iter().map(weight).collect();
        Ok(Balance { counts, weights })
    }

    /// The weights in words, of many classes the largest and the smallest; classes without a label are named. `what` is
    /// counted, samples or pixels, and `name` tells what a class is called.
    pub fn words(&self, what: &str, name: impl Fn(usize) -> String) -> String {
        let mut order: Vec<usize> = (0..self.counts.len()).filter(|class| self.counts[*class] > 0).collect();
        let one = |class: usize| format!("{} {:.4} ({})", name(class), self.weights[class], self.counts[class]);
        let list = match order.len() {
            0..=12 => order.iter().map(|class| one(*class)).collect::<Vec<_>>().join(", "),
            count => {
                order.sort_by_key(|class| self.counts[*class]);
                format!("from {} down to {}, of {count} classes", one(order[0]), one(order[count - 1]))
            }
        };
        let missing: Vec<String> = (0..self.counts.len()).filter(|class| self.counts[*class] == 0).map(&name).collect();
        let missing = match missing.len() {
            0 => String::new(),
            1..=12 => format!("; no training {what} of {}", missing.join(", ")),
            count => format!("; no training {what} of {count} classes, such as {}", missing[0]),
        };
        format!("class weights (and {what}): {list}{missing}")
    }
}

impl TrainOptions {
    /// These options with the weights of classes that are to be balanced, and how they came about.
    ///
    /// # Errors
    /// [`Error::Input`] if there is no label to count.
    pub(in crate::train) fn balanced(&self, train: &Split, classes: usize) -> Result<(TrainOptions, Option<Balance>)> {
        if self.class_weights != ClassWeights::Balanced {
            return Ok((self.clone(), None));
        }
        let balance = Balance::of(train, classes)?;
        let class_weights = ClassWeights::Given(balance.weights.clone());
        Ok((TrainOptions { class_weights, ..self.clone() }, Some(balance)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sklearn.utils.class_weight.compute_class_weight("balanced", …)` of 6, 3 and 1 labels: 10 / (3 · n).
    #[test]
    fn weights_are_scikit_learns() {
        let found = Balance::from_counts(vec![6, 3, 1]).unwrap();
        for (found, expected) in
            found.weights.iter().zip([0.555_555_555_555_555_6, 1.111_111_111_111_111_2, 10.0 / 3.0])
        {
            assert!((found - expected).abs() < 1e-15, "{found}");
        }
        let missing = Balance::from_counts(vec![2, 0, 6]).unwrap();
        assert_eq!(missing.weights, [2.0, 1.0, 8.0 / 12.0]);
        assert_eq!(
            missing.words("pixels", |class| ["cat", "dog", "bird"][class].into()),
            "class weights (and pixels): cat 2.0000 (2), bird 0.6667 (6); no training pixels of dog"
        );
        assert!(Balance::from_counts(vec![0, 0]).is_err());
        let many = Balance::from_counts((1..=20).collect()).unwrap().words("samples", |class| class.to_string());
        assert_eq!(many, "class weights (and samples): from 0 10.5000 (1) down to 19 0.5250 (20), of 20 classes");
    }

    #[test]
    fn forms_come_back_and_others_are_refused() {
        for (text, weights) in
            [("", ClassWeights::Equal), ("balanced", ClassWeights::Balanced), ("0.5,2", vec![0.5, 2.0].into())]
        {
            assert_eq!((text.parse(), weights.to_string()), (Ok(weights.clone()), text.to_owned()));
            let json = serde_json::to_string(&weights).unwrap();
            assert_eq!(serde_json::from_str::<ClassWeights>(&json).unwrap(), weights, "{json}");
        }
        for text in ["balance", "1,", "1,x", "1;2"] {
            let error = text.parse::<ClassWeights>().unwrap_err();
            assert!(error.ends_with("expected a number for each class, such as 0.2,1,1, or balanced"), "{error}");
        }
        let error = serde_json::from_str::<ClassWeights>("\"equal\"").unwrap_err().to_string();
        assert!(error.contains("expected a list of numbers, or \"balanced\""), "{error}");
    }
}
