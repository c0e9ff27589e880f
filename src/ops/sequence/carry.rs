//! Carries a state over to the next batch.

use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    CARRY = "sequence/carry",
}

/// `kept = x`, and 0 after the last batch of an epoch. The arguments are the control block and x of any shape; updated in place
/// is what is kept, of the same shape, which the next step begins with.
#[derive(Clone, Copy, Debug)]
pub struct Carry;

impl Graph {
    /// Carries each state that layers requested over to the next step; it is the last op of a step before its end.
    ///
    /// # Errors
    /// [`Error::Input`] if a state has another shape than what it is to keep.
    pub fn carry_states(&mut self, control: Tensor) -> crate::Result<()> {
        for (from, state) in self.carried.clone() {
            self.update(Carry, &[control, from], &[state])?;
        }
        Ok(())
    }
}

impl Reference for Carry {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let Control { first, valid, samples, .. } = Control::read(x[0].words());
        match first + valid >= samples {
            true => y[0].floats().fill(F::of(0.0)),
            false => y[0].floats().copy_from_slice(x[1].floats()),
        }
    }
}

impl Op for Carry {
    fn name(&self) -> &'static str {
        "carry"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, state] = arguments(x)?;
        Ok(vec![TensorInfo::floats("carried", state.shape.clone())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.x[1]);
        let launch = cx.kernel(CARRY, &[])?.size("count", count).bind("control", cx.x[0]).bind("x", cx.x[1]);
        cx.invocations(launch.bind("kept", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: &[usize], first, valid| {
        let control = Control { first, valid, samples: 20, ..Control::default() };
        let shape = Shape(shape.to_vec());
        let case = Case::new(Carry).words([Control::WORDS], control.words()).random(shape.clone());
        case.seed(2).random(shape).in_place()
    };
    vec![case(&[4, 33], 8, 4), case(&[3, 7], 17, 3), case(&[1], 0, 1)]
}
