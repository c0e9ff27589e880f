//! The token that a step of generation reads.

use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    TOKEN_AT = "sequence/token_at",
}

/// `x[b] = tokens[b, step]`. The arguments are the control block and tokens [batch, length]; the result is [batch, 1]. Beyond
/// the last place it is the last token.
#[derive(Clone, Copy, Debug)]
pub struct TokenAt;

impl Reference for TokenAt {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (step, [_, length]) = (Control::read(x[0].words()).step as usize, x[1].axes());
        let rows = x[1].words().chunks(length);
        y[0].words().iter_mut().zip(rows).for_each(|(token, row)| *token = row[step.min(length - 1)]);
    }
}

impl Op for TokenAt {
    fn name(&self) -> &'static str {
        "token_at"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, tokens] = arguments(x)?;
        let [batch, _] = axes(tokens)?;
        Ok(vec![TensorInfo::words("token", [batch, 1])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None; 2])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [batch, length] = cx.axes(cx.x[1])?;
        let launch = cx.kernel(TOKEN_AT, &[])?.size("batch", batch).size("length", length);
        let launch = launch.bind("control", cx.x[0]).bind("tokens", cx.x[1]);
        cx.invocations(launch.bind("x", cx.y[0]), batch)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |batch: usize, length: usize, step| {
        let control = Control { step, ..Control::default() };
        Case::new(TokenAt).words([Control::WORDS], control.words()).below([batch, length], 1000)
    };
    vec![case(1, 1, 0), case(3, 7, 6), case(70, 5, 2), case(2, 4, 9)]
}
