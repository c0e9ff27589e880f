//! `y = max(x, 0)`.

use crate::ops::pointwise::relu_dx::ReluDx;
use crate::ops::prelude::*;

kernels! {
    RELU = "pointwise/relu",
}

/// `y = max(x, 0)`, of any shape.
#[derive(Clone, Copy, Debug)]
pub struct Relu;

impl Reference for Relu {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let zero = F::of(0.0);
        for (x, y) in x[0].floats().iter().zip(y[0].floats()) {
            *y = if *x > zero { *x } else { zero };
        }
    }
}

impl Op for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        Ok(vec![TensorInfo::floats("relu", x.shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(ReluDx, &[dy, at.y[0]])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.y[0]).div_ceil(4);
        let launch = cx.kernel(RELU, &[])?.size("count", count);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }

    fn is_elementwise(&self) -> bool {
        true
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    // 16,777,221 elements need more than 65,535 workgroups of 64 vectors.
    let shapes = [vec![1], vec![7], vec![3, 5, 2], vec![16_777_221]];
    shapes.map(|s| Case::new(Relu).random(Shape(s))).into()
}
