//! `y += x`, element by element: a sum in the memory of one of its sides.

use crate::ops::prelude::*;

kernels! {
    ADD_TO = "pointwise/add_to",
}

/// `y += x`. The argument is x; y, of the same shape, is updated in place. The plan makes it of an
/// [`Add`](crate::ops::pointwise::add::Add) whose other side nothing reads any more.
#[derive(Clone, Copy, Debug)]
pub struct AddTo;

impl Reference for AddTo {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        for (y, x) in y[0].floats().iter_mut().zip(x[0].floats()) {
            *y += *x;
        }
    }
}

impl Op for AddTo {
    fn name(&self) -> &'static str {
        "add_to"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        Ok(vec![TensorInfo::floats("add_to", x.shape.clone())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.y[0]).div_ceil(4);
        let launch = cx.kernel(ADD_TO, &[])?.size("count", count);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 1.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let shapes = [vec![1], vec![7], vec![3, 5, 2], vec![64, 1031]];
    shapes.map(|s| Case::new(AddTo).random(Shape(s.clone())).random(Shape(s)).in_place()).into()
}
