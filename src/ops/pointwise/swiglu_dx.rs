//! The gradient of SwiGLU.

use crate::ops::pointwise::activation::{Function, ULPS};
use crate::ops::pointwise::fast::{silu, silu_slope};
use crate::ops::pointwise::swiglu::{SIZES, half};
use crate::ops::prelude::*;
use crate::ops::vectors::each;
use pulp::{Arch, Simd, WithSimd};

kernels! {
    SWIGLU_DX = "pointwise/swiglu_dx",
}

/// `dx[n, i] = dy[n, i] · x[n, H + i] · silu'(x[n, i])` and `dx[n, H + i] = dy[n, i] · silu(x[n, i])`. The arguments are dy [.., H] and
/// x [.., 2·H].
#[derive(Clone, Copy, Debug)]
pub struct SwigluDx;

/// A row, compiled for the wide vectors.
struct Row<'a> {
    dgate: &'a mut [f32],
    dvalue: &'a mut [f32],
    dy: &'a [f32],
    gate: &'a [f32],
    value: &'a [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Row { dgate, dvalue, dy, gate, value } = self;
        each!([dy, gate, value] => [dgate, dvalue] { (dy * value * silu_slope(gate), dy * silu(gate)) });
    }
}

impl SwigluDx {
    /// The gradient, from functions of the gate.
    fn each<F: Real>(&self, x: &[In<F>], dx: &mut [Out<F>], functions: [fn(f64) -> f64; 2], abs: bool) {
        let [_, width] = as_rows(x[1].shape);
        let half = width / 2;
        let rows = dx[0].floats().par_chunks_mut(width).zip(x[0].floats().par_chunks(half));
        let sized = |x: F| if abs && x < F::of(0.0) { F::of(0.0) - x } else { x };
        rows.zip(x[1].floats().par_chunks(width)).for_each(|((dx, dy), x)| {
            for (i, dy) in dy.iter().enumerate() {
                let [slope, value] = functions.map(|function| F::of(function(x[i].f64())));
                dx[i] = sized(*dy * x[half + i]) * slope;
                dx[half + i] = sized(*dy) * value;
            }
        });
    }
}

impl Reference for SwigluDx {
    fn reference<F: Real>(&self, x: &[In<F>], dx: &mut [Out<F>]) {
        self.each(x, dx, [|x| Function::Silu.derivative(x, 0.0), |x| Function::Silu.value(x, 0.0)], false);
    }
}

impl Op for SwigluDx {
    fn name(&self) -> &'static str {
        "swiglu_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, x] = arguments(x)?;
        match dy.shape == half(x)? {
            true => Ok(vec![TensorInfo::floats("swiglu_dx", x.shape.clone())]),
            false => Err(format!("found dy {} and x {}, expected half of x's last axis in dy", dy.shape, x.shape)),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([_, half], count) = (as_rows(&cx.shape(cx.x[0])), cx.elements(cx.x[0]));
        let launch = cx.kernel(SWIGLU_DX, &[])?.size("count", count).size("half", half);
        cx.invocations(launch.bind("dy", cx.x[0]).bind("x", cx.x[1]).bind("dx", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 2.0 + ULPS }
    }

    fn magnitude(&self, x: &[In<f64>], dx: &mut [Out<f64>]) {
        let sizes: [fn(f64) -> f64; 2] =
            [|x| Function::Silu.derivative_size(x, 0.0), |x| Function::Silu.value_size(x, 0.0)];
        self.each(x, dx, sizes, true);
    }

    fn fast(&self, x: &[In<f32>], dx: &mut [Out<f32>]) {
        let (arch, [_, width]) = (Arch::new(), as_rows(x[1].shape));
        let half = width / 2;
        let rows = dx[0].floats().par_chunks_mut(width).zip(x[0].floats().par_chunks(half));
        rows.zip(x[1].floats().par_chunks(width)).for_each(|((dx, dy), x)| {
            let ((dgate, dvalue), (gate, value)) = (dx.split_at_mut(half), x.split_at(half));
            arch.dispatch(Row { dgate, dvalue, dy, gate, value });
        });
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |[a, b, width]: [usize; 3]| Case::new(SwigluDx).random([a, b, width / 2]).random([a, b, width]);
    let far = (0..40).map(|i| (i as f32 - 20.0) * 5.0).collect();
    SIZES.into_iter().map(of).chain([Case::new(SwigluDx).random([2, 10]).floats([2, 20], far)]).collect()
}
