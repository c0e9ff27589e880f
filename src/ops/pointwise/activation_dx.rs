//! The gradient of an activation, from its argument or its result: `dx = dy · f'`.

use crate::ops::pointwise::activation::{Activation, Function, ULPS, awkward, each};
use crate::ops::pointwise::fast;
use crate::ops::prelude::*;

kernels! {
    ACTIVATION_DX = "pointwise/activation_dx",
}

/// `dx = dy · f'` of an activation; the arguments are dy and the activation's argument, or its result where
/// [`Activation::by_result`] says so.
#[derive(Clone, Copy, Debug)]
pub struct ActivationDx(pub Activation);

impl Reference for ActivationDx {
    fn reference<F: Real>(&self, x: &[In<F>], dx: &mut [Out<F>]) {
        let Activation { function, slope } = self.0;
        let (dy, x) = (x[0].floats().par_chunks(4096), x[1].floats().par_chunks(4096));
        dx[0].floats().par_chunks_mut(4096).zip(dy.zip(x)).for_each(|(dx, (dy, x))| {
            for (dx, (dy, x)) in dx.iter_mut().zip(dy.iter().zip(x)) {
                *dx = *dy * F::of(function.derivative(x.f64(), slope));
            }
        });
    }
}

impl Op for ActivationDx {
    fn name(&self) -> &'static str {
        "activation_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, x] = arguments(x)?;
        if dy.elements() != x.elements() {
            return Err("dy and x must have one size".into());
        }
        Ok(vec![TensorInfo::floats("activation_dx", x.shape.clone())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.y[0]).div_ceil(4);
        let launch = cx.kernel(ACTIVATION_DX, &[])?.size("count", count);
        let launch = launch.set("kind", self.0.function as u32).set("slope", self.0.slope);
        cx.invocations(launch.bind("dy", cx.x[0]).bind("x", cx.x[1]).bind("dx", cx.y[0]), count)
    }

    fn fast(&self, x: &[In<f32>], dx: &mut [Out<f32>]) {
        if !fast::apply(self.0.function, dx[0].floats(), x[1].floats(), Some(x[0].floats())) {
            self.reference(x, dx);
        }
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: ULPS }
    }

    fn magnitude(&self, x: &[In<f64>], dx: &mut [Out<f64>]) {
        let (dy, x) = (x[0].floats(), x[1].floats());
        for (i, dx) in dx[0].floats().iter_mut().enumerate() {
            *dx = dy[i].abs() * self.0.function.derivative_size(x[i], self.0.slope);
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |op: Activation| {
        let value = |x: f32| if op.by_result() { op.function.value(x.into(), op.slope) as f32 } else { x };
        let (op, x) = (ActivationDx(op), awkward().into_iter().map(value).collect::<Vec<f32>>());
        let shape = Shape::from([3, 5, 2, 67]);
        [
            Case::new(op).random([x.len()]).floats([x.len()], x),
            Case::new(op).random([1]).random([1]),
            Case::new(op).random(shape.clone()).random(shape),
        ]
    };
    // Below 0 the derivative is that of the argument alone.
    let steep = Activation { function: Function::LeakyRelu, slope: -1.5 };
    each().chain([steep]).flat_map(of).collect()
}
