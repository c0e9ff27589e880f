//! The product of a transposed matrix and one, and the sums of its columns: the gradients of a dense layer.

use crate::ops::conv::conv2d_dw;
use crate::ops::matmul::matmul_nt::{AWKWARD, LARGE};
use crate::ops::matmul::splits;
use crate::ops::prelude::*;
use crate::sys::{Gemm, gemm};

kernels! {
    MATMUL_TN_TILE = "matmul/matmul_tn_tile",
    MATMUL_TN_LANES = "matmul/matmul_tn_lanes",
    MATMUL_TN_FEW_LANES = "matmul/matmul_tn_few_lanes",
}

/// `y[i, j] = Σ_t a[t, i] · b[t, j]` and `sums[i] = Σ_t a[t, i]`; the arguments are a [.., M] and b [.., N],
/// whose leading axes are the terms, the results y [M, N] and sums `[M]`. With a = dy and b = x they are the gradients of weights and bias.
#[derive(Clone, Copy, Debug)]
pub struct MatmulTn;

/// Terms that are added at a time on the native CPU, so that what is read again stays in a cache.
const TERMS: usize = 256;

impl Reference for MatmulTn {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([k, m], [_, n]) = (as_rows(x[0].shape), as_rows(x[1].shape));
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
        let ([_, m], [_, n]) = (rows(a)?, rows(b)?);
        if a.shape.0.split_last().map(|(_, leading)| leading) != b.shape.0.split_last().map(|(_, leading)| leading) {
            return Err(format!("the rows of {} and of {} differ", a.shape, b.shape));
        }
        Ok(vec![TensorInfo::floats("matmul_tn", [m, n]), TensorInfo::floats("sums", [m])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([k, m], [_, n]) = (as_rows(&cx.shape(cx.x[0])), as_rows(&cx.shape(cx.x[1])));
        product(cx, [1, m, n, k], Some(cx.y[1]))
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        2 * (x[0].elements() * x[1].shape.0.last().copied().unwrap_or(0)) as u64
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: rows(x[0]).map_or(0, |[k, _]| k), ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let ([k, m], [_, n]) = (as_rows(x[0].shape), as_rows(x[1].shape));
        let [y, sums] = results(y);
        let (a, b, y) = (x[0].floats(), x[1].floats(), y.floats());
        for first in (0..k).step_by(TERMS) {
            let part = Gemm { accumulate: first > 0, ..Gemm::parallel([m, n, TERMS.min(k - first)]) };
            gemm(part, y, (&a[first * m..], [1, m]), (&b[first * n..], [n, 1]));
        }
        sums::columns(a, sums.floats());
    }
}

/// Launches `batch` products one after the other: a [batch, k, m], b [batch, k, n], the result [batch, m, n]. Where there is
/// one product, the sums of a's columns may be computed with it.
pub(in crate::ops) fn product(cx: &mut Lower, [batch, m, n, k]: [usize; 4], sums: Option<Tensor>) -> crate::Result<()> {
    let (a, b, y) = (cx.x[0], cx.x[1], cx.y[0]);
    let (summed, bound) = (usize::from(sums.is_some()), sums.unwrap_or_else(|| cx.scratch(1)));
    let whole = |launch: Launch| {
        let launch = launch.sizes(&[("batch", batch), ("m", m), ("n", n), ("k", k), ("summed", summed)]);
        launch.bind("a", a).bind("b", b).bind("sums", bound)
    };
    let (launch, groups) = match cx.class {
        KernelClass::Lanes(lanes) if n.is_multiple_of(4) && m.is_multiple_of(4) && m >= 16 => {
            let tile = LANES[0];
            let launch = cx.kernel(MATMUL_TN_LANES, &[&tile.params(lanes)[..], &[("U", 4)]].concat())?;
            (launch, tile.groups(m, n, lanes))
        }
        KernelClass::Lanes(lanes) if n.is_multiple_of(4) => {
            // Few rows leave room for more columns.
            let tile = if m <= 10 { LanesTile { rows: m, vectors: 3 } } else { LanesTile::of(n, lanes) };
            let launch = cx.kernel(MATMUL_TN_FEW_LANES, &[&tile.params(lanes)[..], &[("U", unroll(k))]].concat())?;
            (launch, tile.groups(m, n, lanes))
        }
        _ => {
            let tile = Tile::of(m, n, m.is_multiple_of(4) && n.is_multiple_of(4));
            let launch = whole(cx.kernel(MATMUL_TN_TILE, &tile.params())?);
            let tiles = batch * tile.groups(m, n);
            let elements = batch * m * n + summed * m;
            return splits::split(cx, launch, [tiles, k, elements], ("y", y), |cx, partials, splits| match sums {
                Some(sums) => conv2d_dw::sum_partials(cx, partials, splits, [y, sums]),
                None => splits::sum_rows(cx, (partials, splits), n, splits::Epilogue::default(), y),
            });
        }
    };
    cx.groups(whole(launch).bind("y", y), batch * groups)
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[m, n, k]: [usize; 3]| Case::new(MatmulTn).random([k, m]).random([k, n]);
    // Weights of two classes, long sums.
    AWKWARD
        .into_iter()
        .chain([[2, 128, 16], [100, 20, 600], LARGE])
        .map(case)
        .chain([Case::new(MatmulTn).random([2, 3, 5, 7]).random([2, 3, 5, 4])])
        .collect()
}
