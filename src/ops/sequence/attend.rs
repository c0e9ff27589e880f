//! Attention of one sequence's states over another's, composed of a product, a softmax and a product.

use crate::ir::graph::{Graph, Tensor};
use crate::ops::matmul::matmul_batched::{Form, MatmulBatched};
use crate::ops::sequence::softmax_masked::SoftmaxMasked;

/// The keys and values that queries attend to.
#[derive(Clone, Copy, Debug)]
pub struct Attend {
    /// The keys, [B, …, Tk, C].
    pub keys: Tensor,
    /// The values, summed with the weights of the keys, [B, …, Tk, D]; often the keys themselves.
    pub values: Tensor,
    /// How many keys of each row are valid, `[B]` as words; all without it.
    pub lengths: Option<Tensor>,
    /// Whether scores are divided by √C, as in a transformer; PyTorch's tutorial of translation (Luong's dot) does not.
    pub scaled: bool,
    /// Whether a query sees no key after its own place.
    pub causal: bool,
}

impl Attend {
    /// Adds to a graph, for queries [B, …, Tq, C], the context `Σ_k weights[q, k]·values[k]` [B, …, Tq, D] and the weights
    /// [B, …, Tq, Tk], the softmax of the dot products `query · key` over the valid keys. A row without a key gives zeros.
    /// Gradients flow to queries, keys and values.
    ///
    /// # Errors
    /// [`crate::Error::Input`] if the shapes do not fit.
    pub fn build(&self, graph: &mut Graph, query: Tensor) -> crate::Result<[Tensor; 2]> {
        let channels = graph.shape(query).last().copied().unwrap_or(1);
        let scale = if self.scaled { (1.0 / (channels.max(1) as f64).sqrt()) as f32 } else { 1.0 };
        let scores = graph.apply(MatmulBatched { form: Form::Nt }, &[query, self.keys])?[0];
        self.weigh(graph, scores, scale)
    }

    /// [`Attend::build`] for scores [B, …, Tq, Tk] that are known, which are multiplied by `scale`.
    ///
    /// # Errors
    /// As [`Attend::build`].
    pub fn weigh(&self, graph: &mut Graph, scores: Tensor, scale: f32) -> crate::Result<[Tensor; 2]> {
        let x: Vec<Tensor> = [Some(scores), self.lengths].into_iter().flatten().collect();
        let weights = graph.apply(SoftmaxMasked { scale, causal: self.causal }, &x)?[0];
        let context = graph.apply(MatmulBatched { form: Form::Nn }, &[weights, self.values])?[0];
        Ok([context, weights])
    }
}
