//! The columns of a table.

use crate::data::schema::{ANSWERS, Element, FEATURES, NUMBERS, Scale};
use crate::data::{Column, Dataset};
use crate::error::Result;
use serde::Serialize;

/// A table in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableSurvey {
    /// The data set's name.
    pub name: String,
    /// Samples to train on.
    pub train: usize,
    /// Samples to validate on, where the data has a part for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// Samples to test on.
    pub test: usize,
    /// The columns of numbers, features first, then targets.
    pub columns: Vec<ColumnSurvey>,
    /// The names of the classes or answers that are the targets, where they are no numbers, and how many training samples
    /// each has.
    pub classes: Vec<(String, usize)>,
}

/// A column of numbers, by the training samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnSurvey {
    /// Its name.
    pub name: String,
    /// Whether it is a target.
    pub target: bool,
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation; 1 where all numbers are the same.
    pub deviation: f64,
    /// The smallest number.
    pub least: f64,
    /// The largest number.
    pub most: f64,
}

/// Counts; `None` of a data set that is no table.
///
/// # Errors
/// [`crate::Error::Input`] if a column stays in a file that cannot be read any more.
pub fn survey(data: &Dataset) -> Result<Option<TableSurvey>> {
    let train = &data.train;
    let Some(features) = train.column(FEATURES) else { return Ok(None) };
    let mut columns = summaries(features, false)?;
    if let Some(numbers) = train.column(NUMBERS) {
        columns.extend(summaries(numbers, true)?);
    }
    let mut counts = vec![0; data.classes];
    for label in train.each_label().filter(|label| (*label as usize) < data.classes) {
        counts[label as usize] += 1;
    }
    if let Some(answers) = train.column(ANSWERS) {
        for row in answers.held().chunks(data.classes.max(1)) {
            row.iter().zip(&mut counts).for_each(|(answer, count)| *count += usize::from(*answer));
        }
    }
    let classes = if train.column(NUMBERS).is_some() { Vec::new() } else { data.class_names.clone() };
    Ok(Some(TableSurvey {
        name: data.name.clone(),
        train: train.count,
        validation: data.held_counts().0,
        test: data.held_counts().1,
        columns,
        classes: classes.into_iter().zip(counts).collect(),
    }))
}

fn summaries(column: &Column, target: bool) -> Result<Vec<ColumnSurvey>> {
    let (bytes, scales) = (column.rows(0..column.count())?, &column.field().scales);
    let summary = |(c, scale): (usize, &Scale)| {
        let numbers = (c..column.count() * scales.len()).step_by(scales.len());
        // Single precision keeps no more of a number than that.
        let digit = scale.deviation * 1e-6;
        let round = |x: f64| (x / digit).round() * digit;
        let numbers = || numbers.clone().map(|at| round(scale.restored(Element::F32.value(&bytes, at) as f32)));
        ColumnSurvey {
            name: scale.name.clone(),
            target,
            mean: scale.mean,
            deviation: scale.deviation,
            least: numbers().fold(f64::INFINITY, f64::min),
            most: numbers().fold(f64::NEG_INFINITY, f64::max),
        }
    };
    Ok(scales.iter().enumerate().map(summary).collect())
}
