//! Whether a model is built for training or for inference, and what a layer may need for it.

use crate::ir::graph::Tensor;

/// The purpose of a graph. Some layers behave differently, or do nothing, in inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Steps that change the weights.
    Training,
    /// Evaluation, prediction and export.
    Inference,
    /// One token of a text after the other, each by its own step: states are carried from step to step.
    Generation,
    /// The tokens that a text begins with, all in one step: keys and values are kept for those that are generated.
    Prompt,
}

/// The context of [`crate::model::Model::build`] and [`crate::model::Layer::build`], besides the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// The purpose of the graph.
    pub mode: Mode,
    /// The graph's control block ([`crate::step::control::Control`]), if there is one: a layer reads the step, the key of
    /// all random numbers and the number of valid samples there.
    pub control: Option<Tensor>,
    /// Of a model with a second input: its tokens, [batch, places].
    pub target: Option<Tensor>,
    /// In generation, and for a prompt: how many tokens a text has at most.
    pub context: Option<usize>,
}

impl Build {
    /// For inference, without a control block.
    pub const INFERENCE: Build = Build { mode: Mode::Inference, control: None, target: None, context: None };

    /// For training, with the control block of the step.
    pub fn training(control: Tensor) -> Self {
        Build { mode: Mode::Training, control: Some(control), target: None, context: None }
    }

    /// For one token after the other, of texts of at most that many.
    pub fn generation(control: Tensor, context: usize) -> Self {
        Build { mode: Mode::Generation, control: Some(control), target: None, context: Some(context) }
    }

    /// For the tokens at once that a text of at most `context` begins with.
    pub fn prompt(control: Tensor, context: usize) -> Self {
        Build { mode: Mode::Prompt, ..Build::generation(control, context) }
    }

    /// For inference in a graph with a control block.
    pub fn inference(control: Tensor) -> Self {
        Build { mode: Mode::Inference, control: Some(control), target: None, context: None }
    }
}
