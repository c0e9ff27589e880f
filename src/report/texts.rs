//! Nets that read text: their task, and the texts that they classify wrongly.

use super::answers::surest_mistakes;
use super::embeddings::embeddings;
use super::passages::passages;
use super::{Findings, GUESSES, MISTAKES, likeliest};
use crate::data::schema::TEXT;
use crate::data::{Dataset, IGNORED, Split};
use crate::error::Result;
use crate::model::{Model, Task, Weights};
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

/// Finds out what is shown of every net of texts: its embeddings, and where it writes texts the loss of each token.
pub(super) fn look(findings: &mut Findings, model: &Model, weights: &Weights, data: &Dataset) {
    if model.text.is_none() {
        return;
    }
    match embeddings(model, weights, data) {
        Ok(found) => findings.embeddings = found,
        Err(error) => findings.lacks("embeddings", error.to_string()),
    }
    if model.task == Task::Next {
        match passages(model, weights, &data.test) {
            Ok(found) => findings.passages = found,
            Err(error) => findings.lacks("passages", error.to_string()),
        }
    }
}
