//! Whether a model is built for training or for inference, and what a layer may need for it.

use crate::ir::graph::Tensor;

/// What a graph is built for. Some layers do something else, or nothing, in inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Steps that change the weights.
    Training,
    /// Evaluation, prediction and export.
    Inference,
}

/// What [`crate::model::Model::build`] and [`crate::model::Layer::build`] need besides the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// What the graph is for.
    pub mode: Mode,
    /// The graph's control block ([`crate::step::control::Control`]), where there is one: a layer reads the step, the key of
    /// all random numbers and the number of valid samples there.
    pub control: Option<Tensor>,
}

impl Build {
    /// For inference, without a control block.
    pub const INFERENCE: Build = Build { mode: Mode::Inference, control: None };

    /// For training, with the control block of the step.
    pub fn training(control: Tensor) -> Self {
        Build { mode: Mode::Training, control: Some(control) }
    }

    /// For inference in a graph with a control block.
    pub fn inference(control: Tensor) -> Self {
        Build { mode: Mode::Inference, control: Some(control) }
    }
}
