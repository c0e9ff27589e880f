//! The product of two matrices: the gradient that a dense layer passes to its input.

use crate::ops::matmul::matmul_nt::{AWKWARD, LARGE};
use crate::ops::matmul::splits;
use crate::ops::matmul::splits::{Epilogue, With};
use crate::ops::pointwise::relu_dx::{apply_mask, check_mask, split_mask};
use crate::ops::prelude::*;
use crate::ops::shape::reshape;
use crate::sys::{Gemm, gemm};

kernels! {
    MATMUL_NN_TILE = "matmul/matmul_nn_tile",
    MATMUL_NN_LANES = "matmul/matmul_nn_lanes",
    MATMUL_NN_FEW_LANES = "matmul/matmul_nn_few_lanes",
}

/// `y[i, j] = Σ_t a[i, t] · b[t, j]`; with `masked` it is 0 where a mask is not above 0: the gradient of a ReLU before
/// the layer. The arguments are a [.., K], whose leading axes are rows, b [K, N] and the mask [.., N]; the result is [.., N].
#[derive(Clone, Copy, Debug, Default)]
pub struct MatmulNn {
    /// Whether the last argument is a mask.
    pub masked: bool,
}

impl Reference for MatmulNn {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([_, k], [_, n]) = (as_rows(x[0].shape), x[1].axes());
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
        let ([_, k], [terms, n]) = (rows(a)?, axes(b)?);
        if k != terms {
            return Err(format!("rows of {k} but columns of {terms}"));
        }
        check_mask(mask, TensorInfo::floats("matmul_nn", with_last(a, n)))
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let ([m, k], [_, n]) = (as_rows(&cx.shape(cx.x[0])), cx.axes(cx.x[1])?);
        product(cx, [1, m, n, k], split_mask(cx.x, self.masked).1.copied())
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        2 * (x[0].elements() * x[1].shape.0[1]) as u64
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].shape.0[0], ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let ([m, k], [_, n]) = (as_rows(x[0].shape), x[1].axes());
        gemm(Gemm::parallel([m, n, k]), y[0].floats(), (x[0].floats(), [k, 1]), (x[1].floats(), [n, 1]));
        apply_mask(split_mask(x, self.masked).1, y[0].floats());
    }
}

/// Launches `batch` products one after the other: a [batch, m, k], b [batch, k, n], mask and result [batch, m, n].
pub(in crate::ops) fn product(cx: &mut Lower, [batch, m, n, k]: [usize; 4], mask: Option<Tensor>) -> crate::Result<()> {
    let (a, mut b, y) = (cx.x[0], (cx.x[1], 0), cx.y[0]);
    let sizes = [("batch", batch), ("m", m), ("n", n), ("k", k)];
    let (launch, groups) = match cx.class {
        KernelClass::Lanes(lanes) if n.is_multiple_of(4) => {
            let tile = LanesTile::of(n, lanes);
            let launch = match k.is_multiple_of(4) && k >= 64 {
                true => {
                    b = reshape::texture(cx, b.0)?;
                    cx.kernel(MATMUL_NN_LANES, &tile.params(lanes))?
                }
                false => cx.kernel(MATMUL_NN_FEW_LANES, &[&tile.params(lanes)[..], &[("U", unroll(k))]].concat())?,
            };
            (launch, batch * tile.groups(m, n, lanes))
        }
        _ => {
            let tile = Tile::of(m, n, k.is_multiple_of(4) && n.is_multiple_of(4));
            let launch = cx.kernel(MATMUL_NN_TILE, &tile.params())?;
            let launch = launch.sizes(&sizes).bind("a", a).bind("b", b.0);
            let end = Epilogue { with: With::Mask(mask), ..Epilogue::default() };
            return splits::product(cx, launch, [batch * tile.groups(m, n), k, n], end, [a, y]);
        }
    };
    let launch = launch.sizes(&sizes).size("first", b.1).bind("a", a).bind("b", b.0).bind("y", y);
    // Where there is no mask the kernel does not read it, and any float buffer will do.
    cx.groups(launch.set("masked", mask.is_some()).bind("mask", mask.unwrap_or(a)), groups)
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[m, n, k]: [usize; 3]| {
        let case = |masked| Case::new(MatmulNn { masked }).random([m, k]).random([k, n]);
        // Small integers: the mask is often exactly zero.
        [case(false), case(true).integers([m, n], 1)]
    };
    let leading = Case::new(MatmulNn { masked: true }).random([2, 3, 5, 7]).random([7, 4]).integers([2, 3, 5, 4], 1);
    // What few columns give of many rows: the gradient before a small last layer, of ten classes and of two.
    let large = case(LARGE).into_iter().take(1);
    AWKWARD.into_iter().chain([[128, 64, 10], [33, 128, 2]]).flat_map(case).chain([leading]).chain(large).collect()
}
