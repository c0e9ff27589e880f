//! SwiGLU: one half of the features, through SiLU, gates the other.

use crate::ops::pointwise::activation::{Function, ULPS};
use crate::ops::pointwise::fast::silu;
use crate::ops::pointwise::swiglu_dx::SwigluDx;
use crate::ops::prelude::*;
use crate::ops::vectors::each;
use pulp::{Arch, Simd, WithSimd};

kernels! {
    SWIGLU = "pointwise/swiglu",
}

/// `y[n, i] = silu(x[n, i]) · x[n, H + i]` (Shazeer, 2020): of x [.., 2·H] the first half is the gate. The result is [.., H].
#[derive(Clone, Copy, Debug)]
pub struct Swiglu;

/// The shape of the gate: that of x with half its last axis.
pub(super) fn half(x: &TensorInfo) -> Result<Shape, String> {
    let [_, width] = rows(x)?;
    match width.is_multiple_of(2) {
        true => Ok(with_last(x, width / 2)),
        false => Err(format!("found {}, expected an even last axis", x.shape)),
    }
}

/// A row, compiled for the wide vectors.
struct Row<'a> {
    y: &'a mut [f32],
    gate: &'a [f32],
    value: &'a [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Row { y, gate, value } = self;
        each!([gate, value] => [y] { (silu(gate) * value,) });
    }
}

impl Reference for Swiglu {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let [_, width] = as_rows(x[0].shape);
        let half = width / 2;
        let rows = y[0].floats().par_chunks_mut(half).zip(x[0].floats().par_chunks(width));
        rows.for_each(|(y, x)| {
            for (i, y) in y.iter_mut().enumerate() {
                *y = F::of(Function::Silu.value(x[i].f64(), 0.0)) * x[half + i];
            }
        });
    }
}

impl Op for Swiglu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        Ok(vec![TensorInfo::floats("swiglu", half(x)?)])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        Ok(vec![Some(graph.apply(SwigluDx, &[dy, at.x[0]])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([_, half], count) = (as_rows(&cx.shape(cx.y[0])), cx.elements(cx.y[0]));
        let launch = cx.kernel(SWIGLU, &[])?.size("count", count).size("half", half);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 1.0 + ULPS }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let [_, width] = as_rows(x[0].shape);
        let half = width / 2;
        for (y, x) in y[0].floats().chunks_mut(half).zip(x[0].floats().chunks(width)) {
            y.iter_mut().enumerate().for_each(|(i, y)| *y = Function::Silu.value_size(x[i], 0.0) * x[half + i].abs());
        }
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let (arch, [_, width]) = (Arch::new(), as_rows(x[0].shape));
        let rows = y[0].floats().par_chunks_mut(width / 2).zip(x[0].floats().par_chunks(width));
        rows.for_each(|(y, x)| {
            let (gate, value) = x.split_at(width / 2);
            arch.dispatch(Row { y, gate, value });
        });
    }
}

/// Sizes of x: one pair, odd halves, several axes, and more elements than a workgroup.
pub(super) const SIZES: [[usize; 3]; 4] = [[1, 1, 2], [2, 3, 10], [3, 1, 134], [4, 9, 64]];

pub(in crate::ops) fn cases() -> Vec<Case> {
    let far = (0..40).map(|i| (i as f32 - 20.0) * 5.0).collect();
    let plain = SIZES.map(|sizes| Case::new(Swiglu).random(sizes));
    plain.into_iter().chain([Case::new(Swiglu).floats([2, 20], far)]).collect()
}
