//! The product of a matrix and a transposed one, with bias, and a ReLU where one follows: dense layers.

use crate::ops::matmul::bias::{check_bias, finish_rows, split_bias};
use crate::ops::matmul::matmul_nn::MatmulNn;
use crate::ops::matmul::matmul_tn::MatmulTn;
use crate::ops::matmul::splits;
use crate::ops::matmul::splits::Epilogue;
use crate::ops::pointwise::relu_dx::ReluDx;
use crate::ops::prelude::*;
use crate::ops::shape::reshape;
use crate::sys::{Gemm, gemm};

kernels! {
    MATMUL_NT_TILE = "matmul/matmul_nt_tile",
    MATMUL_NT_LANES = "matmul/matmul_nt_lanes",
    MATMUL_NT_TERMS_LANES = "matmul/matmul_nt_terms_lanes",
    MATMUL_NT_SUM = "matmul/matmul_nt_sum",
}

/// `y[i, j] = Σ_t a[i, t] · b[j, t] + bias[j]`, then max(·, 0) with `relu`.
/// The arguments are a [.., K], whose leading axes are rows, b [N, K] and, if there is one, bias `[N]`; the result is [.., N].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatmulNt {
    /// Whether a ReLU follows.
    pub relu: bool,
}

impl Reference for MatmulNt {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([_, k], [n, _]) = (as_rows(x[0].shape), x[1].axes());
        let (a, b, bias, y) = (x[0].floats(), x[1].floats(), x.get(2).map(In::floats), y[0].floats());
        for (at, y) in y.iter_mut().enumerate() {
            let (i, j) = (at / n, at % n);
            let mut sum = bias.map_or(F::of(0.0), |bias| bias[j]);
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
        let (x, bias) = split_bias(x);
        let [a, b] = arguments(x)?;
        let ([_, k], [n, terms]) = (rows(a)?, axes(b)?);
        if k != terms {
            return Err(format!("rows of {k} and weights for {terms}"));
        }
        check_bias(bias, n)?;
        Ok(vec![TensorInfo::floats("matmul_nt", with_last(a, n))])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(mut dy) = at.dy[0] else { return Ok(vec![None; at.x.len()]) };
        if self.relu {
            dy = graph.apply(ReluDx, &[dy, at.y[0]])?[0];
        }
        let mut grads = vec![None; at.x.len()];
        if at.wants[0] {
            grads[0] = Some(graph.apply(MatmulNn::default(), &[dy, at.x[1]])?[0]);
        }
        if at.wants[1..].contains(&true) {
            let of_weights = graph.apply(MatmulTn, &[dy, at.x[0]])?;
            grads[1..].iter_mut().zip(of_weights).for_each(|(grad, sum)| *grad = Some(sum));
        }
        Ok(grads)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([m, k], [n, _]) = (as_rows(&cx.shape(cx.x[0])), cx.axes(cx.x[1])?);
        let bias = cx.x.get(2).copied();
        let mut b = (cx.x[1], 0);
        let (launch, groups) = match cx.class {
            KernelClass::Lanes(lanes) if k.is_multiple_of(4) && n.is_multiple_of(4) && n >= 32 => {
                let tile = LanesTile::of(n, lanes);
                b = reshape::texture(cx, b.0)?;
                (cx.kernel(MATMUL_NT_LANES, &tile.params(lanes))?, tile.groups(m, n, lanes))
            }
            KernelClass::Lanes(lanes) if k.is_multiple_of(4) => {
                let (rows, columns) = if n <= 5 || n.is_multiple_of(5) { (6, 5) } else { (4, 8) };
                let params = [("L", lanes.into()), ("R", rows as i64), ("C", columns as i64), ("U", 2)];
                (cx.kernel(MATMUL_NT_TERMS_LANES, &params)?, m.div_ceil(rows) * n.div_ceil(columns))
            }
            _ => {
                let (tm, tn) = (side(m), side(n));
                let launch = cx.kernel(MATMUL_NT_TILE, &[("TM", tm as i64), ("TN", tn as i64)])?;
                let launch = launch.sizes(&[("m", m), ("n", n), ("k", k)]).bind("a", cx.x[0]).bind("b", cx.x[1]);
                let end = Epilogue { bias, relu: self.relu, mask: None };
                let tiles = m.div_ceil(tm) * n.div_ceil(tn);
                return splits::product(cx, launch, [tiles, k, n], end, [cx.x[0], cx.y[0]]);
            }
        };
        let launch = launch.sizes(&[("m", m), ("n", n), ("k", k), ("first", b.1)]).set("relu", self.relu);
        let launch = launch.set("biased", bias.is_some()).bind("bias", bias.unwrap_or(cx.x[0]));
        cx.groups(launch.bind("a", cx.x[0]).bind("b", b.0).bind("y", cx.y[0]), groups)
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        2 * (x[0].elements() * x[1].shape.0[0]) as u64
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].shape.0[1] + 1, ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let ([m, k], [n, _]) = (as_rows(x[0].shape), x[1].axes());
        let y = y[0].floats();
        gemm(Gemm::parallel([m, n, k]), y, (x[0].floats(), [k, 1]), (x[1].floats(), [1, k]));
        finish_rows(y, x.get(2).map(In::floats), n, self.relu);
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
        let plain = |relu| Case::new(MatmulNt { relu }).random([m, k]).random([n, k]);
        [plain(false).random([n]), plain(true).random([n]), plain(m % 2 == 1)]
    };
    // Leading axes are rows.
    let leading = Case::new(MatmulNt { relu: false }).random([2, 3, 5, 7]).random([4, 7]).random([4]);
    in_turn(AWKWARD.into_iter().map(case))
        .into_iter()
        .chain([leading, Case::new(MatmulNt { relu: true }).random([8]).random([3, 8])])
        .collect()
}
