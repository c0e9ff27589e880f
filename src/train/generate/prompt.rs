//! Prompts read at once: the keys and values of all their tokens in one step, where token by token each takes a pass over the weights.

use crate::device::Device;
use crate::device::executor::{Build as Built, Executor, Lent};
use crate::error::Result;
use crate::ir::graph::{Graph, Role, Tensor, TensorInfo};
use crate::ir::values::Values;
use crate::model::{Build, Model};
use crate::plan::fuse::{Stage, fuse};
use crate::step::control::Control;
use crate::train::epochs::engine::Engine;

/// The number of tokens that a graph is built for is a multiple of this.
const TOKENS: usize = 64;

/// The part of a model that gives keys and values, for a number of tokens.
#[derive(Debug)]
pub(super) struct Prompt {
    executor: Box<dyn Executor>,
    control: Tensor,
    tokens: Tensor,
    kept: Vec<Tensor>,
    places: usize,
}

impl Prompt {
    /// Builds it for at least this many tokens, with the weights in `params` of the engine that generates.
    ///
    /// # Errors
    /// [`crate::Error::Input`] where the device cannot hold it.
    pub(super) fn new(
        device: &Device,
        (model, context): (&Model, usize),
        tokens: usize,
        (engine, params): (&Engine, Tensor),
    ) -> Result<Prompt> {
        let places = tokens.next_multiple_of(TOKENS).min(context);
        let mut graph = Graph::new();
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]).role(Role::Control));
        let tokens = graph.tensor(TensorInfo::words("tokens", [1, places]).role(Role::Control));
        let of_prompt = Model { input: vec![places], ..model.clone() };
        let logits = of_prompt.build(&mut graph, tokens, Build::prompt(control, context))?;
        fuse(&mut graph, &[logits], Stage::Whole);
        // Nothing after the last keys and values is needed.
        let kept = graph.kept.clone();
        let last = graph.nodes.iter().rposition(|node| node.y.iter().any(|y| kept.contains(y)));
        graph.nodes.truncate(last.map_or(0, |last| last + 1));
        let [own, _] = graph.arenas()?;
        let lent = Some(Lent { by: engine.executor(), from: params, to: own });
        let executor = device.executor(&graph, Built { reuse: true, lent, ..Built::default() })?;
        Ok(Prompt { executor, control, tokens, kept, places })
    }

    /// Whether it can read this many tokens, and was not built for many more.
    pub(super) fn fits(&self, tokens: usize) -> bool {
        tokens <= self.places && self.places < tokens + TOKENS
    }

    /// Reads tokens and gives their keys and values to the engine that generates.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] where the device fails.
    pub(super) fn read(&mut self, tokens: &[u32], engine: &mut Engine) -> Result<()> {
        let mut padded = tokens.to_vec();
        padded.resize(self.places, 0);
        self.executor.write(self.tokens, &Values::Word(padded))?;
        self.executor.write(self.control, &Values::Word(Control { valid: 1, ..Control::default() }.words()))?;
        self.executor.submit(1)?;
        let kept = engine.graph().kept.clone();
        kept.into_iter()
            .zip(&self.kept)
            .try_for_each(|(to, from)| engine.copy_from_executor(to, &*self.executor, *from))
    }
}
