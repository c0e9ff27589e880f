//! The product of two matrices: the gradient that a dense layer hands back to its input.

use crate::ops::matmul::matmul_nt::AWKWARD;
use crate::ops::pointwise::relu_dx::{apply_mask, check_mask, split_mask};
use crate::ops::prelude::*;
use crate::ops::shape::reshape;
use crate::sys::{Gemm, gemm};

pub(in crate::ops) const KERNELS: &[Source] =
    &[shader!("matmul/matmul_nn_tile"), shader!("matmul/matmul_nn_lanes"), shader!("matmul/matmul_nn_few_lanes")];

/// `y[i, j] = Σ_t a[i, t] · b[t, j]`; with `masked` it is 0 where a mask is not above 0: the gradient of a ReLU before
/// the layer. The arguments are a [M, K], b [K, N] and the mask [M, N]; the result is [M, N].
#[derive(Clone, Copy, Debug, Default)]
pub struct MatmulNn {
    /// Whether the last argument is a mask.
    pub masked: bool,
}

impl Reference for MatmulNn {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([_, k], [_, n]) = (x[0].axes(), x[1].axes());
        let (a, b, y) = (x[0].floats(), x[1].floats(), y[0].floats());
        for (at, y) in y.iter_mut().enumerate() {
            let (i, j) = (at / n, at % n);
            *y = F::of(0.0);
            for t in 0..k {
                *y += a[i * k + t] * b[t * n + j];
            }
        }
        apply_mask(split_mask(x, self.masked).1, y);
    }
}

impl Op for MatmulNn {
    fn name(&self) -> &'static str {
        "matmul_nn"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (x, mask) = split_mask(x, self.masked);
        let [a, b] = arguments(x)?;
        let ([m, k], [terms, n]) = (axes(a)?, axes(b)?);
        if k != terms {
            return Err(format!("rows of {k} but columns of {terms}"));
        }
        check_mask(mask, TensorInfo::floats("matmul_nn", [m, n]))
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([m, k], [_, n]) = (cx.axes(cx.x[0])?, cx.axes(cx.x[1])?);
        let mut b = (cx.x[1], 0);
        let (launch, groups) = match cx.class {
            KernelClass::Lanes(lanes) if n.is_multiple_of(4) => {
                let tile = LanesTile::of(n, lanes);
                let launch = match k.is_multiple_of(4) && k >= 64 {
                    true => {
                        b = reshape::texture(cx, b.0)?;
                        cx.kernel(KERNELS[1], &tile.params(lanes))?
                    }
                    false => cx.kernel(KERNELS[2], &[&tile.params(lanes)[..], &[("U", unroll(k))]].concat())?,
                };
                (launch, tile.groups(m, n, lanes))
            }
            _ => {
                let (tm, tn) = (side(m), side(n));
                let launch = cx.kernel(KERNELS[0], &[("TM", tm as i64), ("TN", tn as i64)])?;
                (launch, m.div_ceil(tm) * n.div_ceil(tn))
            }
        };
        let launch = launch.sizes(&[("m", m), ("n", n), ("k", k), ("first", b.1)]);
        // Where there is no mask the kernel does not read it, and any float buffer will do.
        let mask = split_mask(cx.x, self.masked).1;
        let launch = launch.set("masked", self.masked).bind("mask", mask.copied().unwrap_or(cx.x[0]));
        cx.groups(launch.bind("a", cx.x[0]).bind("b", b.0).bind("y", cx.y[0]), groups)
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        2 * (x[0].elements() * x[1].shape.0[1]) as u64
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[0].shape.0[1], ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let ([m, k], [_, n]) = (x[0].axes(), x[1].axes());
        gemm(Gemm::parallel([m, n, k]), y[0].floats(), (x[0].floats(), [k, 1]), (x[1].floats(), [n, 1]));
        apply_mask(split_mask(x, self.masked).1, y[0].floats());
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[m, n, k]: [usize; 3]| {
        let case = |masked| Case::new(MatmulNn { masked }).random([m, k]).random([k, n]);
        // Small integers: the mask is often exactly zero.
        [case(false), case(true).integers([m, n], 1)]
    };
    AWKWARD.into_iter().flat_map(case).collect()
}
