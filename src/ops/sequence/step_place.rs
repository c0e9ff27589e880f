//! The place of the token that a step of generation reads.

use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    STEP_PLACE = "sequence/step_place",
}

/// `y[b] = step + offset`, at most `most`: with an offset of 0 the place of the token that a step reads, with 1 how many tokens there
/// are up to it. The argument is the control block, the result `[batch]` as words.
#[derive(Clone, Copy, Debug)]
pub struct StepPlace {
    /// Rows of the batch.
    pub batch: usize,
    /// What is added to the step.
    pub offset: usize,
    /// The largest result.
    pub most: usize,
}

impl Reference for StepPlace {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let step = Control::read(x[0].words()).step as usize;
        y[0].words().fill(step.saturating_add(self.offset).min(self.most) as u32);
    }
}

impl Op for StepPlace {
    fn name(&self) -> &'static str {
        "step_place"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_] = arguments(x)?;
        Ok(vec![TensorInfo::words("place", [self.batch])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let launch = cx.kernel(STEP_PLACE, &[])?.size("batch", self.batch).size("offset", self.offset);
        let launch = launch.size("most", self.most).bind("control", cx.x[0]).bind("y", cx.y[0]);
        cx.invocations(launch, self.batch)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |batch, offset, most, step| {
        let control = Control { step, ..Control::default() };
        Case::new(StepPlace { batch, offset, most }).words([Control::WORDS], control.words())
    };
    vec![case(1, 0, 9, 0), case(3, 1, 9, 6), case(70, 0, 5, 7), case(2, 1, 5, 5)]
}
