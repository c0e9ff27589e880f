//! The product of a transposed matrix and one, and the sums of its columns: the gradients of a dense layer.

use crate::ops::matmul::matmul_nt::AWKWARD;
use crate::ops::prelude::*;
use crate::sys::{Gemm, gemm};

pub(in crate::ops) const KERNELS: &[Source] =
    &[shader!("matmul/matmul_tn_tile"), shader!("matmul/matmul_tn_lanes"), shader!("matmul/matmul_tn_few_lanes")];

/// `y[i, j] = Σ_t a[t, i] · b[t, j]` and `sums[i] = Σ_t a[t, i]`; the arguments are a [K, M] and b [K, N],
/// the results y [M, N] and sums `[M]`. With a = dy and b = x they are the gradients of weights and bias.
#[derive(Clone, Copy, Debug)]
pub struct MatmulTn;

impl Reference for MatmulTn {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([k, m], [_, n]) = (x[0].axes(), x[1].axes());
        let [y, sums] = results(y);
        let (a, b, y, sums) = (x[0].floats(), x[1].floats(), y.floats(), sums.floats());
        y.fill(F::of(0.0));
        sums.fill(F::of(0.0));
        for t in 0..k {
            for i in 0..m {
                sums[i] += a[t * m + i];
                for j in 0..n {
                    y[i * n + j] += a[t * m + i] * b[t * n + j];
                }
            }
        }
    }
}

impl Op for MatmulTn {
    fn name(&self) -> &'static str {
        "matmul_tn"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [a, b] = arguments(x)?;
        let ([k, m], [terms, n]) = (axes(a)?, axes(b)?);
        if k != terms {
            return Err(format!("columns of {k} and of {terms}"));
        }
        Ok(vec![TensorInfo::floats("matmul_tn", [m, n]), TensorInfo::floats("sums", [m])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([k, m], [_, n]) = (cx.axes(cx.x[0])?, cx.axes(cx.x[1])?);
        let (launch, groups) = match cx.class {
            KernelClass::Lanes(lanes) if n.is_multiple_of(4) && m.is_multiple_of(4) && m >= 16 => {
                let tile = LANES[0];
                let launch = cx.kernel(KERNELS[1], &[&tile.params(lanes)[..], &[("U", 4)]].concat())?;
                (launch, tile.groups(m, n, lanes))
            }
            KernelClass::Lanes(lanes) if n.is_multiple_of(4) => {
                // Few rows leave room for more columns.
                let tile = if m <= 10 { LanesTile { rows: m, vectors: 3 } } else { LanesTile::of(n, lanes) };
                let launch = cx.kernel(KERNELS[2], &[&tile.params(lanes)[..], &[("U", unroll(k))]].concat())?;
                (launch, tile.groups(m, n, lanes))
            }
            _ => {
                let (tm, tn) = (side(m), side(n + 1));
                let launch = cx.kernel(KERNELS[0], &[("TM", tm as i64), ("TN", tn as i64)])?;
                (launch, m.div_ceil(tm) * (n + 1).div_ceil(tn))
            }
        };
        let launch = launch.sizes(&[("m", m), ("n", n), ("k", k)]);
        let launch = launch.bind("a", cx.x[0]).bind("b", cx.x[1]).bind("y", cx.y[0]).bind("sums", cx.y[1]);
        cx.groups(launch, groups)
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        2 * (x[0].elements() * x[1].shape.0[1]) as u64
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[0].shape.0[0], ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let ([k, m], [_, n]) = (x[0].axes(), x[1].axes());
        let [y, sums] = results(y);
        gemm(Gemm::parallel([m, n, k]), y.floats(), (x[0].floats(), [1, m]), (x[1].floats(), [n, 1]));
        let sums = sums.floats();
        sums.fill(0.0);
        for row in x[0].floats().chunks(m) {
            sums.iter_mut().zip(row).for_each(|(s, a)| *s += a);
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    AWKWARD.map(|[m, n, k]| Case::new(MatmulTn).random([k, m]).random([k, n])).into()
}
