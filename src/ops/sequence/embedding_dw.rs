//! The gradient of an embedding's weight: for each token, the sum of the gradients at its positions.

use crate::ops::matmul::splits;
use crate::ops::matmul::splits::Epilogue;
use crate::ops::prelude::*;
use crate::ops::sequence::embedding::{SIZES, row, with_tokens};

kernels! {
    EMBEDDING_DW = "sequence/embedding_dw",
}

/// `dw[v, c] = Σ dy[n, c]` over the places n with `tokens[n] = v`, in their order. The arguments are tokens [batch, …] as
/// words and dy [batch, …, C]; the result is [V, C]. A token that is no row of the weight adds to nothing.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingDw {
    /// V, the rows of the weight.
    pub vocabulary: usize,
}

impl Reference for EmbeddingDw {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (tokens, [_, c], dy) = (x[0].words(), as_rows(x[1].shape), x[1].floats());
        // The places of each token, in their order: so the work does not grow with tokens times vocabulary.
        let mut places: Vec<Vec<usize>> = vec![Vec::new(); self.vocabulary];
        for (n, &token) in tokens.iter().enumerate() {
            row(token, self.vocabulary).into_iter().for_each(|row| places[row].push(n));
        }
        y[0].floats().par_chunks_mut(c).zip(&places).for_each(|(sums, places)| {
            let mut runs = sums::Runs::new(c);
            for &n in places {
                runs.before(1);
                runs.now.iter_mut().zip(&dy[n * c..][..c]).for_each(|(sum, dy)| *sum += *dy);
            }
            sums.copy_from_slice(&runs.finish());
        });
    }
}

impl Op for EmbeddingDw {
    fn name(&self) -> &'static str {
        "embedding_dw"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [tokens, dy] = arguments(x)?;
        let [count, c] = rows(dy)?;
        if tokens.elements() != count || self.vocabulary == 0 {
            let (tokens, v) = (&tokens.shape, self.vocabulary);
            return Err(format!("found tokens {tokens} of {v} and dy {}, expected one row of dy for each", dy.shape));
        }
        Ok(vec![TensorInfo::floats("embedding_dw", [self.vocabulary, c])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([rows, channels], dw) = (as_rows(&cx.shape(cx.x[1])), cx.y[0]);
        let sizes = [("rows", rows), ("vocabulary", self.vocabulary), ("channels", channels)];
        let launch = cx.kernel(EMBEDDING_DW, &[])?.sizes(&sizes).bind("tokens", cx.x[0]).bind("dy", cx.x[1]);
        let tiles = self.vocabulary * channels.div_ceil(256);
        splits::split(cx, launch, [tiles, rows, cx.elements(dw)], ("dw", dw), |cx, partials, splits| {
            splits::sum_rows(cx, (partials, splits), channels, Epilogue::default(), dw)
        })
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let rows = x[0].elements();
        Rounding { terms: splits::terms_of(rows, self.vocabulary * (x[1].elements() / rows)), ulps: 1.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(shape, [v, c]): (&[usize], [usize; 2])| {
        with_tokens(EmbeddingDw { vocabulary: v }, shape, v).random(Shape([shape, &[c]].concat()))
    };
    let alike = Case::new(EmbeddingDw { vocabulary: 2 }).words([sums::LONG], vec![1; sums::LONG]);
    let alike = alike.floats([sums::LONG, 1], vec![0.1; sums::LONG]);
    SIZES.into_iter().map(case).chain([alike]).collect()
}
