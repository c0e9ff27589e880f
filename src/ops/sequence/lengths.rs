//! The lengths of rows of tokens.

use crate::ir::element::IGNORED;
use crate::ops::prelude::*;

kernels! {
    LENGTHS = "sequence/lengths",
}

/// `y[b]` is how many tokens stand before the first [`IGNORED`] one, which is padding. The argument is tokens [B, T] as words, the
/// result `[B]` as words.
#[derive(Clone, Copy, Debug)]
pub struct Lengths;

/// How many of its `times` places row b has, as far as rows have lengths: none has more.
pub(in crate::ops) fn of_row(lengths: Option<&[u32]>, b: usize, times: usize) -> usize {
    lengths.map_or(times, |lengths| times.min(lengths[b] as usize))
}

/// Splits arguments into x and the lengths, if there are any.
pub(in crate::ops) fn split<T: Copy>(x: &[T]) -> Result<(T, Option<T>), String> {
    match *x {
        [x] => Ok((x, None)),
        [x, lengths] => Ok((x, Some(lengths))),
        _ => Err(format!("{} arguments where x and, if there are any, lengths are expected", x.len())),
    }
}

/// Holds lengths to one for each of `batch` rows.
pub(in crate::ops) fn check(lengths: Option<&TensorInfo>, batch: usize) -> Result<(), String> {
    match lengths.filter(|lengths| lengths.shape.0 != [batch]) {
        Some(lengths) => {
            Err(format!("found {} {}, expected one length for each of {batch} rows", lengths.name, lengths.shape))
        }
        None => Ok(()),
    }
}

/// Binds lengths in a launch; if there are none, `any` buffer that the kernel reads is bound and not read.
pub(in crate::ops) fn bind(launch: Launch, lengths: Option<Tensor>, any: Tensor) -> Launch {
    launch.set("limited", lengths.is_some()).bind("lengths", lengths.unwrap_or(any))
}

/// Adds lengths to a case: all places, none, one, all but one, half of them, and more than there are, in turn.
pub(in crate::ops) fn with_lengths(case: Case, batch: usize, times: usize) -> Case {
    let all = [times, 0, 1, times.saturating_sub(1), times / 2, times + 3];
    case.words([batch], (0..batch).map(|b| all[b % all.len()] as u32).collect())
}

impl Reference for Lengths {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([_, times], tokens) = (x[0].axes(), x[0].words());
        for (y, tokens) in y[0].words().iter_mut().zip(tokens.chunks(times)) {
            *y = tokens.iter().take_while(|&&token| token != IGNORED).count() as u32;
        }
    }
}

impl Op for Lengths {
    fn name(&self) -> &'static str {
        "lengths"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [tokens] = arguments(x)?;
        let [batch, _] = axes(tokens)?;
        Ok(vec![TensorInfo::words("lengths", [batch])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [batch, times] = cx.axes(cx.x[0])?;
        let launch = cx.kernel(LENGTHS, &[])?.size("batch", batch).size("times", times);
        cx.invocations(launch.bind("tokens", cx.x[0]).bind("y", cx.y[0]), batch)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    // Padding from the first place on, from the last, nowhere, and with a token after it.
    let tokens = [[IGNORED; 5], [3, 1, 4, 1, IGNORED], [2, 7, 1, 8, 2], [1, IGNORED, 4, 1, 4]].concat();
    vec![Case::new(Lengths).words([4, 5], tokens), Case::new(Lengths).words([1, 1], vec![0])]
}
