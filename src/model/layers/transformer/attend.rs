//! The attention of a block: of a sequence to itself, of a token to those before it, and to another sequence.

use super::{Params, Transformer, Turns, salt};
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Role, Tensor, TensorInfo};
use crate::ir::values::Values;
use crate::model::Mode;
use crate::model::layers::Inputs;
use crate::model::layers::positions::part;
use crate::ops::attention::attention::Attention as Attend;
use crate::ops::attention::keep_rows::KeepRows;
use crate::ops::attention::limits::Limits;
use crate::ops::attention::rotary::{Rates, Rotary, table};
use crate::ops::matmul::matmul_nt::MatmulNt;
use crate::ops::sequence::embedding::Embedding;
use crate::ops::sequence::step_place::StepPlace;
use crate::ops::shape::slice::Slice;

impl Transformer {
    /// Numbers of a head.
    pub(super) fn head(&self, features: usize) -> usize {
        features / self.heads
    }

    /// The rates of rotary positions.
    pub(super) fn rates(&self) -> Rates {
        let Transformer { rotary_base, rotary_factor, rotary_context, rotary_low, rotary_high, .. } = *self;
        Rates { base: rotary_base, factor: rotary_factor, context: rotary_context, low: rotary_low, high: rotary_high }
    }

    /// The op that attends.
    fn op(&self, memory: bool, lengths: bool, dropout: f32) -> Attend {
        let causal = self.causal && !memory;
        Attend { sharing: self.heads / self.kv_heads, memory, lengths, dropout, ..Attend::new(self.heads, causal) }
    }

    /// The attention of queries to keys and values, the same tensor as they or of another sequence, of these lengths.
    fn attend(&self, graph: &mut Graph, at: &Inputs, x: &[Tensor], lengths: Option<Tensor>) -> Result<Tensor> {
        let memory = x.len() == 2;
        let (mut lengths, mut dropout) = (lengths, 0.0);
        if self.dropout > 0.0 && at.build.mode == Mode::Training {
            let most = graph.shape(x[x.len() - 1])[1];
            let limits = Limits { batch: at.shape[0], most, salt: salt(at, if memory { 5 } else { 4 }) };
            let arguments: Vec<Tensor> = std::iter::once(at.control()?).chain(lengths).collect();
            (lengths, dropout) = (Some(graph.apply(limits, &arguments)?[0]), self.dropout);
        }
        let arguments: Vec<Tensor> = x.iter().copied().chain(lengths).collect();
        Ok(graph.apply(self.op(memory, lengths.is_some(), dropout), &arguments)?[0])
    }

    /// The attention of x, normalised, to itself; of a text that is generated to all its tokens so far.
    pub(super) fn own(&self, graph: &mut Graph, at: &Inputs, x: Tensor, params: &mut Params) -> Result<Tensor> {
        let qkv = params.product(graph, x, self.biases_qkv())?;
        let qkv = self.turned(graph, at, qkv)?;
        let lengths = at.lengths.first().copied().flatten();
        let found = match at.build.mode {
            Mode::Generation => self.cached(graph, at, qkv)?,
            Mode::Prompt => {
                self.keep(graph, at, qkv)?;
                self.attend(graph, at, &[qkv], lengths)?
            }
            Mode::Training | Mode::Inference => self.attend(graph, at, &[qkv], lengths)?,
        };
        params.product(graph, found, self.bias)
    }

    /// The keys and values of all tokens so far, [batch, places, columns], to which those of these tokens are added.
    fn keep(&self, graph: &mut Graph, at: &Inputs, qkv: Tensor) -> Result<Tensor> {
        let places = at.build.context.filter(|_| self.causal);
        let places =
            places.ok_or_else(|| Error::input("found causal = false, expected true where a text is continued"))?;
        let (batch, features) = (at.shape[0], at.shape[2]);
        let columns = 2 * self.kv_heads * self.head(features);
        let info = TensorInfo::floats(format!("{}.kv", at.index), [batch, places, columns]);
        let kept = graph.tensor(info.role(Role::State));
        graph.keep(KeepRows { first: features, columns, places }, &[at.control()?, qkv], kept)?;
        Ok(kept)
    }

    /// The attention of one token to those before it, whose keys and values are kept from step to step.
    fn cached(&self, graph: &mut Graph, at: &Inputs, qkv: Tensor) -> Result<Tensor> {
        let kept = self.keep(graph, at, qkv)?;
        let (control, batch, features, places) = (at.control()?, at.shape[0], at.shape[2], graph.shape(kept)[1]);
        let lengths = graph.apply(StepPlace { batch, offset: 1, most: places }, &[control])?[0];
        let q = graph.apply(Slice { offset: 0, columns: features }, &[qkv])?[0];
        self.attend(graph, at, &[q, kept], Some(lengths))
    }

    /// The attention of x to the memory.
    pub(super) fn other(&self, graph: &mut Graph, at: &Inputs, x: Tensor, params: &mut Params) -> Result<Tensor> {
        let &[_, memory] = at.x else { return Err(Error::failed("a block with a memory reads two results")) };
        let lengths = at.lengths.get(1).copied().flatten();
        let features = at.shape[2];
        // One weight makes the queries of x, and keys and values of the memory.
        let into = params.with(x, self.biases_qkv());
        let parts = [(x, 0, features), (memory, features, 2 * self.kv_heads * self.head(features))];
        let mut arguments = Vec::new();
        for (from, first, rows) in parts {
            let mut of = vec![from];
            for &param in &into[1..] {
                of.push(part(graph, param, first, rows)?);
            }
            arguments.push(graph.apply(MatmulNt::default(), &of)?[0]);
        }
        let found = self.attend(graph, at, &arguments, lengths)?;
        params.product(graph, found, self.bias)
    }

    /// Queries and keys turned by their places, where they are; in generation by the place of the token that the step reads.
    fn turned(&self, graph: &mut Graph, at: &Inputs, qkv: Tensor) -> Result<Tensor> {
        if self.positions == Turns::None {
            return Ok(qkv);
        }
        let generates = at.build.mode == Mode::Generation;
        let places = if generates { at.build.context.unwrap_or(1) } else { at.shape[1] };
        let (size, rates) = (self.head(at.shape[2]), self.rates());
        let info = TensorInfo::floats(format!("rotary {rates:?}"), [places, size]);
        let mut angles = graph.constant(info, || Values::Float(table(places, size, rates)));
        if generates {
            let place = StepPlace { batch: at.shape[0], offset: 0, most: places - 1 };
            let place = graph.apply(place, &[at.control()?])?[0];
            angles = graph.apply(Embedding, &[place, angles])?[0];
        }
        Ok(graph.apply(Rotary { heads: self.heads + self.kv_heads, back: false }, &[qkv, angles])?[0])
    }
}
