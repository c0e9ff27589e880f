//! Zeros: the bias of a convolution that has none.

use crate::ops::prelude::*;

pub(in crate::ops) const KERNELS: &[Source] = &[shader!("shape/zeros")];

/// `y = 0`, of `elements`; it has no argument.
#[derive(Clone, Copy, Debug)]
pub struct Zeros {
    /// How many.
    pub elements: usize,
}

impl Reference for Zeros {
    fn reference<F: Real>(&self, _: &[In<F>], y: &mut [Out<F>]) {
        y[0].floats().fill(F::of(0.0));
    }
}

impl Op for Zeros {
    fn name(&self) -> &'static str {
        "zeros"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [] = arguments(x)?;
        match self.elements {
            0 => Err("at least one element is expected".into()),
            elements => Ok(vec![TensorInfo::floats("zeros", [elements])]),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(Vec::new())
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = self.elements.div_ceil(4);
        let launch = cx.kernel(KERNELS[0], &[])?.size("count", count);
        cx.invocations(launch.bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    [1, 4, 7, 257].map(|elements| Case::new(Zeros { elements })).into()
}
