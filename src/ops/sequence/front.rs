//! The first elements of a tensor with other sizes: a view, which costs nothing.

use crate::ops::prelude::*;

kernels! {}

/// The first elements of x as a tensor of the sizes `shape`; the result is x's own memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    /// The sizes of the result.
    pub shape: Shape,
}

impl Reference for Front {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let y = y[0].floats();
        y.copy_from_slice(&x[0].floats()[..y.len()]);
    }
}

impl Op for Front {
    fn name(&self) -> &'static str {
        "front"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        if self.shape.elements() > x.elements() {
            return Err(format!("{} elements are fewer than {} has", x.elements(), self.shape));
        }
        Ok(vec![TensorInfo::floats("front", self.shape.clone())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, _: &mut Lower) -> crate::Result<()> {
        Ok(())
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }

    fn is_view(&self) -> bool {
        true
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    vec![Case::new(Front { shape: Shape::from([3, 4]) }).random([5, 6])]
}
