//! The embedding of tokens: for each, its row of the weight.

use crate::ir::element::IGNORED;
use crate::ops::prelude::*;
use crate::ops::sequence::embedding_dw::EmbeddingDw;

kernels! {
    EMBEDDING = "sequence/embedding",
}

/// `y[…, c] = weight[tokens[…], c]`, and 0 where the weight has no such row: padding is the token [`IGNORED`]. The arguments
/// are tokens [batch, …] as words and weight [V, C]; the result is [batch, …, C]. As PyTorch's `Embedding`, whose
/// `padding_idx` is here any token from V on: such tokens have no gradient either.
#[derive(Clone, Copy, Debug)]
pub struct Embedding;

/// The number of tokens, and the sizes [V, C] of a weight.
fn sizes(tokens: &[usize], weight: &[usize]) -> Result<[usize; 3], String> {
    match (tokens.contains(&0), weight) {
        (false, &[v, c]) if v > 0 && c > 0 => Ok([tokens.iter().product(), v, c]),
        _ => Err(format!(
            "found tokens {tokens:?} and a weight {weight:?}, expected [batch, …] and [V, C], none of them 0"
        )),
    }
}

/// The row of the weight that a token stands for.
pub(super) fn row(token: u32, vocabulary: usize) -> Option<usize> {
    usize::try_from(token).ok().filter(|&row| row < vocabulary)
}

impl Reference for Embedding {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([v, c], tokens, weight) = (x[1].axes(), x[0].words(), x[1].floats());
        y[0].floats().par_chunks_mut(c).zip(tokens).for_each(|(y, &token)| match row(token, v) {
            Some(row) => y.copy_from_slice(&weight[row * c..][..c]),
            None => y.fill(F::of(0.0)),
        });
    }
}

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [tokens, weight] = arguments(x)?;
        let [_, _, c] = sizes(&tokens.shape.0, &weight.shape.0)?;
        let shape = Shape([&tokens.shape.0[..], &[c]].concat());
        Ok(vec![TensorInfo::floats("embedding", shape)])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0].filter(|_| at.wants[1]) else { return Ok(vec![None; 2]) };
        let vocabulary = graph.shape(at.x[1])[0];
        Ok(vec![None, Some(graph.apply(EmbeddingDw { vocabulary }, &[at.x[0], dy])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (rows, [vocabulary, channels]) = (cx.elements(cx.x[0]), cx.axes(cx.x[1])?);
        let count = (rows * channels).div_ceil(4);
        let sizes = [("count", count), ("rows", rows), ("vocabulary", vocabulary), ("channels", channels)];
        let launch = cx.kernel(EMBEDDING, &[])?.sizes(&sizes).bind("tokens", cx.x[0]).bind("weight", cx.x[1]);
        cx.invocations(launch.bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

/// Tokens of a case: some beyond the vocabulary, and padding.
pub(super) fn with_tokens(op: impl Op, shape: &[usize], vocabulary: usize) -> Case {
    let mut case = Case::new(op).below(Shape(shape.to_vec()), vocabulary as u32 + 1);
    if let crate::ir::values::Values::Word(tokens) = &mut case.x[0].1 {
        tokens.iter_mut().skip(2).step_by(5).for_each(|token| *token = IGNORED);
    }
    case
}

/// Shapes of tokens, and the sizes of a weight: one of each; odd ones; more channels than a workgroup owns; a vocabulary
/// larger than the batch.
pub(super) const SIZES: [(&[usize], [usize; 2]); 6] = [
    (&[1], [1, 1]),
    (&[4, 7], [5, 3]),
    (&[3, 50], [65, 128]),
    (&[2, 3, 5], [7, 300]),
    (&[2, 9], [3000, 6]),
    (&[5, 600], [3, 8]),
];

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(shape, [v, c]): (&[usize], [usize; 2])| with_tokens(Embedding, shape, v).random([v, c]);
    SIZES.into_iter().map(case).collect()
}
