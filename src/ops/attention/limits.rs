//! What an attention with dropout needs besides its numbers: how many keys each row has, and the key of its random numbers.

use crate::ops::prelude::*;
use crate::ops::sequence::lengths;
use crate::step::control::{Control, pcg};

kernels! {
    LIMITS = "attention/limits",
}

/// `y[b]` is the length of row b, or `most` where rows have none, and `y[batch]` the key of the step's random numbers. The arguments are
/// the control block and, if there are any, lengths `[batch]`; the result is `[batch + 1]` as words.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows of the batch.
    pub batch: usize,
    /// The length of a row where there are no lengths.
    pub most: usize,
    /// The number that distinguishes the dropouts of a net.
    pub salt: u32,
}

impl Reference for Limits {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let control = Control::read(x[0].words());
        let y = y[0].words();
        for (b, y) in y[..self.batch].iter_mut().enumerate() {
            *y = lengths::of_row(x.get(1).map(|lengths| lengths.words()), b, self.most) as u32;
        }
        y[self.batch] = pcg(control.key ^ pcg(control.step ^ pcg(self.salt)));
    }
}

impl Op for Limits {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (_, valid) = lengths::split(x)?;
        lengths::check(valid, self.batch)?;
        Ok(vec![TensorInfo::words("limits", [self.batch + 1])])
    }

    fn backward(&self, _: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None; at.x.len()])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let launch = cx.kernel(LIMITS, &[])?.size("batch", self.batch).size("most", self.most).set("salt", self.salt);
        let launch = lengths::bind(launch.bind("control", cx.x[0]), cx.x.get(1).copied(), cx.x[0]);
        cx.invocations(launch.bind("y", cx.y[0]), self.batch + 1)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |batch, salt, step| {
        let control = Control { key: 0x9e37_79b9, step, ..Control::default() };
        Case::new(Limits { batch, most: 7, salt }).words([Control::WORDS], control.words())
    };
    vec![case(1, 0, 0), case(70, 3, 9), lengths::with_lengths(case(6, 1 << 20, 5), 6, 7)]
}
