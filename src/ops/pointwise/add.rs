//! `y = a + b`, element by element: residual connections, and gradients that meet.

use crate::ops::prelude::*;

kernels! {
    ADD = "pointwise/add",
}

/// `y = a + b`.
#[derive(Clone, Copy, Debug)]
pub struct Add;

impl Reference for Add {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (a, b) = (x[0].floats(), x[1].floats());
        let y = y[0].floats().par_chunks_mut(4096).zip(a.par_chunks(4096)).zip(b.par_chunks(4096));
        y.for_each(|((y, a), b)| y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = *a + *b));
    }
}

impl Op for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [a, b] = arguments(x)?;
        if a.shape != b.shape {
            return Err("both sides must have one shape".into());
        }
        Ok(vec![TensorInfo::floats("add", a.shape.clone())])
    }

    fn backward(&self, _: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![at.dy[0], at.dy[0]])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.y[0]).div_ceil(4);
        let launch = cx.kernel(ADD, &[])?.size("count", count);
        cx.invocations(launch.bind("a", cx.x[0]).bind("b", cx.x[1]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 1.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let shapes = [vec![1], vec![7], vec![3, 5, 2], vec![64, 1031]];
    shapes.map(|s| Case::new(Add).random(Shape(s.clone())).random(Shape(s))).into()
}
