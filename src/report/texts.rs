//! Nets that read text: their task, and the texts that they classify wrongly.

use super::answers::surest_mistakes;
use super::{GUESSES, MISTAKES, likeliest};
use crate::data::schema::TEXT;
use crate::data::{IGNORED, Split};
use crate::error::Result;
use crate::model::{Model, Task};
use serde::Serialize;

/// What a net does with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TextTask {
    /// It continues it.
    Continues,
    /// It tells its class.
    Classifies,
    /// It translates it.
    Translates,
}

impl TextTask {
    /// That of a model; none of one that reads no text.
    pub fn of(model: &Model) -> Option<TextTask> {
        model.text.as_ref()?;
        Some(match model.task {
            Task::Next if model.translates() => TextTask::Translates,
            Task::Next => TextTask::Continues,
            Task::Classify | Task::Answers | Task::Regress { .. } => TextTask::Classifies,
        })
    }
}

/// A misclassified test text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WrongText {
    /// Its place in the test set, from 0.
    pub index: usize,
    /// Its class.
    pub label: usize,
    /// The likeliest classes and their probabilities.
    pub guesses: Vec<(usize, f64)>,
    /// The text as the net read it.
    pub text: String,
}

/// The texts that were classified wrongly with the largest probability; none of other data.
pub(super) fn wrong_texts(model: &Model, test: &Split, logits: &[f32], labels: &[u32]) -> Result<Vec<WrongText>> {
    let (Some(tokenizer), Some(column)) = (&model.text, test.column(TEXT)) else { return Ok(Vec::new()) };
    let text = |index: usize| {
        let tokens: Vec<u32> = column.words(index..index + 1).filter(|token| *token != IGNORED).collect();
        tokenizer.decode(&tokens)
    };
    let wrong = surest_mistakes(logits, labels, model.classes()?, MISTAKES).into_iter().map(|(index, answer)| {
        let guesses = likeliest(&answer.probabilities, GUESSES);
        WrongText { index, label: labels[index] as usize, guesses, text: text(index) }
    });
    Ok(wrong.collect())
}
