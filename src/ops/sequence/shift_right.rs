//! Tokens one place later: what a model is given to tell the tokens by.

use crate::ir::element::IGNORED;
use crate::ops::prelude::*;

kernels! {
    SHIFT_RIGHT = "sequence/shift_right",
}

/// `y[b, 0] = begin` and `y[b, t] = x[b, t - 1]`, but [`IGNORED`] where `x[b, t]` is, which is padding. The argument is tokens
/// [B, T] as words, and so is the result: the input of a decoder that is trained on given translations (teacher forcing).
#[derive(Clone, Copy, Debug)]
pub struct ShiftRight {
    /// The token that begins a text.
    pub begin: u32,
}

impl Reference for ShiftRight {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([_, times], tokens) = (x[0].axes(), x[0].words());
        for (y, tokens) in y[0].words().chunks_mut(times).zip(tokens.chunks(times)) {
            let before = std::iter::once(&self.begin).chain(tokens);
            for ((y, token), before) in y.iter_mut().zip(tokens).zip(before) {
                *y = if *token == IGNORED { IGNORED } else { *before };
            }
        }
    }
}

impl Op for ShiftRight {
    fn name(&self) -> &'static str {
        "shift_right"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [tokens] = arguments(x)?;
        let [batch, times] = axes(tokens)?;
        Ok(vec![TensorInfo::words("shifted", [batch, times])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [batch, times] = cx.axes(cx.x[0])?;
        let count = batch * times;
        let launch = cx.kernel(SHIFT_RIGHT, &[])?.size("count", count).size("times", times);
        let launch = launch.size("begin", self.begin as usize).bind("x", cx.x[0]);
        cx.invocations(launch.bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    // Padding from the first place on, from the last, nowhere, and with a token after it.
    let tokens = [[IGNORED; 5], [3, 1, 4, 1, IGNORED], [2, 7, 1, 8, 2], [1, IGNORED, 4, 1, 4]].concat();
    let case = |begin: u32| Case::new(ShiftRight { begin });
    vec![case(9).words([4, 5], tokens), case(0).words([1, 1], vec![3]), case(4).words([70, 1], (0..70).collect())]
}
