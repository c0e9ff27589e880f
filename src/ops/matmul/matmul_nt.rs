//! The product of a matrix and a transposed one, with bias, and a ReLU where one follows: dense layers.

use crate::ops::matmul::matmul_nn::MatmulNn;
use crate::ops::matmul::matmul_tn::MatmulTn;
use crate::ops::matmul::splits;
use crate::ops::matmul::splits::Epilogue;
use crate::ops::pointwise::relu_dx::ReluDx;
use crate::ops::prelude::*;
use crate::ops::shape::reshape;
use crate::sys::{Gemm, gemm};

pub(in crate::ops) const KERNELS: &[Source] = &[
    shader!("matmul/matmul_nt_tile"),
    shader!("matmul/matmul_nt_lanes"),
    shader!("matmul/matmul_nt_terms_lanes"),
    splits::KERNEL,
];

/// `y[i, j] = Σ_t a[i, t] · b[j, t] + bias[j]`, then max(·, 0) with `relu`.
/// The arguments are a [M, K], b [N, K] and bias `[N]`; the result is [M, N].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatmulNt {
    /// Whether a ReLU follows.
    pub relu: bool,
}

impl Reference for MatmulNt {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([_, k], [n, _]) = (x[0].axes(), x[1].axes());
        let (a, b, bias, y) = (x[0].floats(), x[1].floats(), x[2].floats(), y[0].floats());
        for (at, y) in y.iter_mut().enumerate() {
            let (i, j) = (at / n, at % n);
            let mut sum = bias[j];
            for t in 0..k {
                sum += a[i * k + t] * b[j * k + t];
            }
            *y = if self.relu && sum < F::of(0.0) { F::of(0.0) } else { sum };
        }
    }
}

impl Op for MatmulNt {
    fn name(&self) -> &'static str {
        "matmul_nt"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [a, b, bias] = arguments(x)?;
        let ([m, k], [n, terms]) = (axes(a)?, axes(b)?);
        if k != terms || axes(bias)? != [n] {
            return Err(format!("rows of {k}, weights for {terms}, {n} outputs and a bias of {}", bias.shape));
        }
        Ok(vec![TensorInfo::floats("matmul_nt", [m, n])])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(mut dy) = at.dy[0] else { return Ok(vec![None; 3]) };
        if self.relu {
            dy = graph.apply(ReluDx, &[dy, at.y[0]])?[0];
        }
        let da = match at.wants[0] {
            true => Some(graph.apply(MatmulNn::default(), &[dy, at.x[1]])?[0]),
            false => None,
        };
        if !at.wants[1] && !at.wants[2] {
            return Ok(vec![da, None, None]);
        }
        let db = graph.apply(MatmulTn, &[dy, at.x[0]])?;
        Ok(vec![da, Some(db[0]), Some(db[1])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([m, k], [n, _]) = (cx.axes(cx.x[0])?, cx.axes(cx.x[1])?);
        let mut b = (cx.x[1], 0);
        let (launch, groups) = match cx.class {
            KernelClass::Lanes(lanes) if k.is_multiple_of(4) && n.is_multiple_of(4) && n >= 32 => {
                let tile = LanesTile::of(n, lanes);
                b = reshape::texture(cx, b.0)?;
                (cx.kernel(KERNELS[1], &tile.params(lanes))?, tile.groups(m, n, lanes))
            }
            KernelClass::Lanes(lanes) if k.is_multiple_of(4) => {
                let (rows, columns) = if n <= 5 || n.is_multiple_of(5) { (6, 5) } else { (4, 8) };
                let params = [("L", lanes.into()), ("R", rows as i64), ("C", columns as i64), ("U", 2)];
                (cx.kernel(KERNELS[2], &params)?, m.div_ceil(rows) * n.div_ceil(columns))
            }
            _ => {
                let (tm, tn) = (side(m), side(n));
                let launch = cx.kernel(KERNELS[0], &[("TM", tm as i64), ("TN", tn as i64)])?;
                let launch = launch.sizes(&[("m", m), ("n", n), ("k", k)]).set("relu", self.relu);
                let launch = launch.bind("a", cx.x[0]).bind("b", cx.x[1]).bind("bias", cx.x[2]);
                let end = Epilogue { bias: Some(cx.x[2]), relu: self.relu, mask: None };
                return splits::product(cx, launch, [m.div_ceil(tm) * n.div_ceil(tn), k, n], end, ("y", cx.y[0]));
            }
        };
        let launch = launch.sizes(&[("m", m), ("n", n), ("k", k), ("first", b.1)]).set("relu", self.relu);
        let launch = launch.bind("a", cx.x[0]).bind("b", b.0).bind("bias", cx.x[2]).bind("y", cx.y[0]);
        cx.groups(launch, groups)
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        2 * (x[0].elements() * x[1].shape.0[0]) as u64
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[0].shape.0[1] + 1, ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let ([m, k], [n, _]) = (x[0].axes(), x[1].axes());
        let (bias, y) = (x[2].floats(), y[0].floats());
        gemm(Gemm::parallel([m, n, k]), y, (x[0].floats(), [k, 1]), (x[1].floats(), [1, k]));
        y.par_chunks_mut(n).for_each(|row| {
            for (y, bias) in row.iter_mut().zip(bias) {
                *y = if self.relu { (*y + bias).max(0.0) } else { *y + bias };
            }
        });
    }
}

/// Sizes of products, awkward on purpose: M, N, K.
pub const AWKWARD: [[usize; 3]; 14] = [
    [1, 1, 1],
    [3, 2, 1],
    [5, 10, 7],
    [17, 33, 31],
    [65, 31, 16],
    [128, 10, 676],
    [7, 129, 64],
    [16, 64, 257],
    [1, 68, 8],
    [63, 128, 100],
    [36, 52, 68],
    [9, 72, 10],
    [10, 12, 64],
    [5, 3, 1300],
];

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[m, n, k]: [usize; 3]| {
        [false, true].map(|relu| Case::new(MatmulNt { relu }).random([m, k]).random([n, k]).random([n]))
    };
    AWKWARD.into_iter().flat_map(case).collect()
}
