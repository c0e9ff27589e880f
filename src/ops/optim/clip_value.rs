//! Gradients brought between a limit and its negative, element by element.

use crate::ops::prelude::*;

kernels! {
    CLIP_VALUE = "optim/clip_value",
}

/// There are no arguments; updated in place are the gradients `[n]`. NaN and infinity stay what they are, so that the
/// watchdog finds them.
#[derive(Clone, Copy, Debug)]
pub struct ClipValue {
    /// The largest absolute value that stays.
    pub limit: f64,
    /// How many gradients there are.
    pub elements: usize,
}

impl Reference for ClipValue {
    fn reference<F: Real>(&self, _: &[In<F>], y: &mut [Out<F>]) {
        // In single precision, as the kernel has it.
        let limit = F::of(f64::from(self.limit as f32));
        for g in y[0].floats().iter_mut().filter(|g| g.is_finite()) {
            *g = match (*g > limit, *g < -limit) {
                (true, _) => limit,
                (_, true) => -limit,
                _ => *g,
            };
        }
    }
}

impl Op for ClipValue {
    fn name(&self) -> &'static str {
        "clip_value"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [] = arguments(x)?;
        Ok(vec![TensorInfo::floats("grads", [self.elements])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = self.elements.div_ceil(4);
        let launch = cx.kernel(CLIP_VALUE, &[])?.size("count", count).set("limit", self.limit);
        cx.invocations(launch.bind("grads", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }

    fn magnitude(&self, _: &[In<f64>], y: &mut [Out<f64>]) {
        y[0].floats().iter_mut().for_each(|g| *g = g.abs());
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |elements: usize, limit| Case::new(ClipValue { limit, elements }).random([elements]).in_place();
    vec![case(1, 0.1), case(1027, 0.3), case(513, 2.0), case(66, 1e-3)]
}
