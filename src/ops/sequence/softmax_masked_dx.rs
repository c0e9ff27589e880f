//! The gradient of a softmax over keys.

use crate::ops::prelude::*;

kernels! {
    SOFTMAX_MASKED_DX = "sequence/softmax_masked_dx",
}

/// `dx[r, k] = scale·y[r, k]·(dy[r, k] - Σ dy[r, ·]·y[r, ·])`, the sum over the row: 0 where y is, as at the keys that no query saw.
/// The arguments are dy and y [.., Tk]; the result is of their shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftmaxMaskedDx {
    /// The factor for the scores.
    pub scale: f32,
}

impl SoftmaxMaskedDx {
    /// The result; `of` takes a factor, and `apart` a difference: as they are, or their magnitudes.
    fn run<F: Real>(
        &self,
        x: &[In<F>],
        dx: &mut [Out<F>],
        of: impl Fn(F) -> F + Sync,
        apart: impl Fn(F, F) -> F + Sync,
    ) {
        let [_, keys] = as_rows(x[0].shape);
        let (dy, y, scale) = (x[0].floats(), x[1].floats(), of(F::of(self.scale.into())));
        let rows = dx[0].floats().par_chunks_mut(keys).zip(dy.par_chunks(keys)).zip(y.par_chunks(keys));
        rows.for_each(|((dx, dy), y)| {
            let sum = dy.iter().zip(y).fold(F::of(0.0), |sum, (dy, y)| sum + of(*dy) * of(*y));
            for ((dx, dy), y) in dx.iter_mut().zip(dy).zip(y) {
                *dx = scale * of(*y) * apart(of(*dy), sum);
            }
        });
    }
}

impl Reference for SoftmaxMaskedDx {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.run(x, y, |x| x, |a, b| a - b);
    }
}

impl Op for SoftmaxMaskedDx {
    fn name(&self) -> &'static str {
        "softmax_masked_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, y] = arguments(x)?;
        rows(y)?;
        if dy.shape != y.shape {
            return Err(format!("found dy {} and y {}, expected the same sizes", dy.shape, y.shape));
        }
        Ok(vec![TensorInfo::floats("softmax_masked_dx", y.shape.clone())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [rows, keys] = as_rows(&cx.shape(cx.x[0]));
        let launch = cx.kernel(SOFTMAX_MASKED_DX, &[])?.size("rows", rows).size("channels", keys);
        let launch = launch.set("scale", self.scale).bind("dy", cx.x[0]).bind("y", cx.x[1]);
        cx.groups(launch.bind("dx", cx.y[0]), rows.div_ceil(8))
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[0].shape.0.last().copied().unwrap_or(1), ulps: 4.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.run(x, y, f64::abs, |a, b| a + b);
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(shape, scale): (&[usize], f32)| {
        let shape = Shape(shape.to_vec());
        Case::new(SoftmaxMaskedDx { scale }).random(shape.clone()).random(shape)
    };
    let shapes: [(&[usize], f32); 3] = [(&[1, 1, 1], 1.0), (&[7, 3, 11], 0.5), (&[2, 5, 300], -2.0)];
    shapes.into_iter().map(case).collect()
}
