//! The gradient of ReLU, from its result: `dx = dy` where `y > 0`, else 0.

use crate::ops::prelude::*;

kernels! {
    RELU_DX = "pointwise/relu_dx",
}

/// `dx = dy · [y > 0]`; the arguments are dy and y.
#[derive(Clone, Copy, Debug)]
pub struct ReluDx;

/// What is left of `x`, and its last as the mask, for an op that a ReLU's gradient has joined: it zeroes its result
/// where the mask, the ReLU's result, is not above 0.
pub(in crate::ops) fn split_mask<T>(x: &[T], masked: bool) -> (&[T], Option<&T>) {
    match x {
        [x @ .., mask] if masked => (x, Some(mask)),
        _ => (x, None),
    }
}

/// Holds a mask to the size of the result that it is for.
pub(in crate::ops) fn check_mask(mask: Option<&&TensorInfo>, result: TensorInfo) -> Result<Vec<TensorInfo>, String> {
    match mask {
        Some(mask) if mask.elements() != result.elements() => {
            Err(format!("a result of {} but a mask of {}", result.shape, mask.shape))
        }
        _ => Ok(vec![result]),
    }
}

/// Zeroes `dx` where the mask is not above 0.
pub(in crate::ops) fn apply_mask<F: Real>(mask: Option<&In<F>>, dx: &mut [F]) {
    let Some(mask) = mask else { return };
    dx.par_chunks_mut(4096).zip(mask.floats().par_chunks(4096)).for_each(|(dx, mask)| {
        for (dx, mask) in dx.iter_mut().zip(mask) {
            *dx = if *mask > F::of(0.0) { *dx } else { F::of(0.0) };
        }
    });
}

impl Reference for ReluDx {
    fn reference<F: Real>(&self, x: &[In<F>], dx: &mut [Out<F>]) {
        let (dy, y, zero) = (x[0].floats(), x[1].floats(), F::of(0.0));
        for (i, dx) in dx[0].floats().iter_mut().enumerate() {
            *dx = if y[i] > zero { dy[i] } else { zero };
        }
    }
}

impl Op for ReluDx {
    fn name(&self) -> &'static str {
        "relu_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, y] = arguments(x)?;
        if dy.elements() != y.elements() {
            return Err("dy and y must have one size".into());
        }
        Ok(vec![TensorInfo::floats("relu_dx", y.shape.clone())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.y[0]).div_ceil(4);
        let launch = cx.kernel(RELU_DX, &[])?.size("count", count);
        cx.invocations(launch.bind("dy", cx.x[0]).bind("y", cx.x[1]).bind("dx", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }

    fn fast(&self, x: &[In<f32>], dx: &mut [Out<f32>]) {
        let (dy, y) = (x[0].floats(), x[1].floats());
        let dx = dx[0].floats().par_chunks_mut(4096).zip(dy.par_chunks(4096)).zip(y.par_chunks(4096));
        dx.for_each(|((dx, dy), y)| {
            for ((dx, dy), y) in dx.iter_mut().zip(dy).zip(y) {
                *dx = if *y > 0.0 { *dy } else { 0.0 };
            }
        });
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    // Small integers: y is often exactly zero.
    let shapes = [vec![1], vec![7], vec![3, 5, 2], vec![64, 1031]];
    shapes.map(|s| Case::new(ReluDx).random(Shape(s.clone())).integers(Shape(s), 1)).into()
}
