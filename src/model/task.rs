//! The task of a model: a class, the next token, several yes-or-no answers, or numbers.

pub use crate::ir::element::Scale;
use serde::{Deserialize, Serialize};

/// The task of a model, which decides its loss, its metrics, and the output of `predict`, the report and ONNX.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Task {
    /// One of the classes, for a sample or for each pixel: the model gives a score for each class.
    #[default]
    Classify,
    /// The token after each token of a text: the model gives a score for each token of the vocabulary.
    Next,
    /// Several yes-or-no answers, independent of each other: the model gives a logit for each, and its sigmoid is a
    /// probability.
    Answers,
    /// Numbers: the model gives each target standardised.
    Regress {
        /// The name of each target and how it is standardised.
        targets: Vec<Scale>,
    },
}

impl Task {
    /// Whether this is the default, which model files leave out.
    pub fn is_classify(&self) -> bool {
        *self == Task::Classify
    }

    /// Whether the model gives a score for each class or token, of which one is right.
    pub fn is_softmax(&self) -> bool {
        matches!(self, Task::Classify | Task::Next)
    }

    /// How each target is standardised; none of a task without numbers.
    pub fn targets(&self) -> &[Scale] {
        match self {
            Task::Regress { targets } => targets,
            Task::Classify | Task::Next | Task::Answers => &[],
        }
    }

    /// The name of the outputs in messages.
    pub fn outputs(&self) -> &'static str {
        match self {
            Task::Classify => "classes",
            Task::Next => "tokens",
            Task::Answers => "answers",
            Task::Regress { .. } => "targets",
        }
    }
}
