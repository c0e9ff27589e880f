//! The gradients of weights and bias of a convolution with ReLU and pool after it, whose input needs no gradient.

use crate::ir::op::Elements;
use crate::ops::conv::conv2d::Conv2d;
use crate::ops::conv::conv2d_dw;
use crate::ops::conv::conv2d_dw::Conv2dDw;
use crate::ops::conv::conv2d_relu_pool::{Conv2dReluPool, POOL};
use crate::ops::conv::geometry::{Geometry, LanesForm, Padding};
use crate::ops::conv::{direct, im2col};
use crate::ops::matmul::splits::{fewest, terms_of};
use crate::ops::pointwise::then::Then;
use crate::ops::pool::max_pool2d_dx;
use crate::ops::pool::max_pool2d_dx::MaxPool2dDx;
use crate::ops::prelude::*;
use crate::ops::shape::reshape;

kernels! {
    CONV2D_RELU_POOL_DW_PATCH_LANES = "conv/conv2d_relu_pool_dw_patch_lanes",
    CONV2D_RELU_POOL_DW_LANES = "conv/conv2d_relu_pool_dw_lanes",
}

/// `conv2d_dw(x, max_pool2d_dx(dp, argmax))`, without the gradient between where a fused kernel fits.
/// The arguments are x [N, H, W, C], dp and argmax [N, PH, PW, O]; the results dw [KH, KW, C, O] and db `[O]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dReluPoolDw {
    /// The convolution.
    pub conv: Conv2d,
    /// Height and width of its window.
    pub kernel: [usize; 2],
}

impl Conv2dReluPoolDw {
    fn geometry(&self, x: [usize; 4], dp: [usize; 4]) -> Result<(Geometry, [usize; 2]), String> {
        let fused = Conv2dReluPool { conv: self.conv };
        let (g, [ph, pw]) = fused.geometry(x, [self.kernel[0], self.kernel[1], x[3], dp[3]])?;
        if [g.n, ph, pw, g.o] != dp {
            return Err(format!("dy of {:?} is expected", [g.n, ph, pw, g.o]));
        }
        Ok((g, [ph, pw]))
    }
}

impl Reference for Conv2dReluPoolDw {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (g, _) = checked(self.geometry(x[0].axes(), x[1].axes()));
        let mut dz = vec![F::of(0.0); g.places() * g.o];
        MaxPool2dDx { pool: POOL, input: [g.oh, g.ow] }.reference(&x[1..], &mut [Out::Float(&mut dz)]);
        let dz = In { shape: &g.y(), elements: Elements::Float(&dz) };
        Conv2dDw { conv: self.conv, kernel: self.kernel }.reference(&[x[0], dz], y);
    }
}

impl Op for Conv2dReluPoolDw {
    fn name(&self) -> &'static str {
        "conv2d_relu_pool_dw"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x, dp, argmax] = arguments(x)?;
        let (g, _) = self.geometry(axes(x)?, axes(argmax)?)?;
        if dp.elements() != argmax.elements() {
            return Err("dy and argmax must have one size".into());
        }
        Ok(vec![TensorInfo::floats("conv2d_dw", g.weights()), TensorInfo::floats("conv2d_db", [g.o])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (g, [ph, pw]) = self.geometry(cx.axes(cx.x[0])?, cx.axes(cx.x[2])?).map_err(Error::input)?;
        let Some((kernel, params, tiles, terms)) = lanes_form(&g, cx.class, g.n * ph, pw) else {
            let dz = max_pool2d_dx::spread(cx, &g, cx.x[1], cx.x[2])?;
            return conv2d_dw::dispatch(cx, &g, cx.x[0], dz);
        };
        let patch = kernel.name == CONV2D_RELU_POOL_DW_PATCH_LANES.name;
        let (x, first) = if patch { (cx.x[0], 0) } else { reshape::texture(cx, cx.x[0])? };
        // The sum is split so that small filters keep every core busy.
        let partial = (g.terms() + 1) * g.o;
        let splits = 64usize.div_ceil(tiles).max(fewest(g.places(), partial)).min(terms);
        let partials = cx.scratch(splits * partial);
        let launch = cx.kernel(kernel, &params)?.sizes(&g.sizes()).sizes(&[("ph", ph), ("pw", pw), ("first", first)]);
        let launch = launch.size("splits", splits).size("per_split", terms.div_ceil(splits));
        let launch = launch.bind("x", x).bind("dp", cx.x[1]).bind("argmax", cx.x[2]).bind("partials", partials);
        cx.groups(launch, splits * tiles)?;
        conv2d_dw::sum_partials(cx, partials, splits, [cx.y[0], cx.y[1]])
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let shapes = axes(x[0]).and_then(|a| Ok((a, axes(x[2])?)));
        shapes.and_then(|(a, b)| self.geometry(a, b)).map_or(0, |(g, _)| g.flops())
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let (channels, weights) = (x[1].shape.0[3], self.kernel[0] * self.kernel[1] * x[0].shape.0[3]);
        Rounding { terms: terms_of(x[1].elements() / channels, (weights + 1) * channels), ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let (g, _) = checked(self.geometry(x[0].axes(), x[1].axes()));
        let [dw, db] = results(y);
        let (dw, db, argmax) = (dw.floats(), db.floats(), Some(x[2].words()));
        if direct::fits(&g) {
            return direct::Gradient { g: &g, x: x[0].floats(), dy: x[1].floats(), argmax, dw, db }.run();
        }
        im2col::weight_gradient(&g, x[0].floats(), x[1].floats(), argmax, dw, db);
    }
}

/// The kernel of the lanes class that fits, its parameters, the workgroups of one part of the sum, and what the sum is
/// over: `strips` rows of windows, or their `pw` windows each.
fn lanes_form(g: &Geometry, class: KernelClass, strips: usize, pw: usize) -> Option<(Source, Params, usize, usize)> {
    let KernelClass::Lanes(lanes) = class else { return None };
    // The loop that the second kernel unrolls: the pixels of a window.
    let patch = (g.kh + g.sh) * (g.kw + g.sw);
    match g.lanes_form(lanes, g.c, g.o) {
        LanesForm::Patch => Some((
            CONV2D_RELU_POOL_DW_PATCH_LANES,
            g.patch_params(lanes).into(),
            (g.o / 4).div_ceil(lanes as usize),
            strips,
        )),
        LanesForm::Product(_) if (g.pt, g.pl) == (0, 0) && patch <= 25 => {
            let sizes = [("L", lanes as usize), ("E", 1), ("KH", g.kh), ("KW", g.kw), ("DH", g.sh), ("DW", g.sw)];
            let params = sizes.map(|(name, size)| (name, size as i64)).into();
            Some((CONV2D_RELU_POOL_DW_LANES, params, (g.c / 4).div_ceil(lanes as usize) * g.o / 4, strips * pw))
        }
        _ => None,
    }
}

/// Parameters of a template.
type Params = Vec<(&'static str, i64)>;

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |padding, stride, x: [usize; 4], [kh, kw, o]: [usize; 3]| {
        let conv = Conv2d { then: Then::Relu, ..Conv2d::new(stride, padding) };
        let fused = Conv2dReluPool { conv }.geometry(x, [kh, kw, x[3], o]);
        let dp = fused.map_or([0; 4], |(g, [ph, pw])| [g.n, ph, pw, o]);
        Case::new(Conv2dReluPoolDw { conv, kernel: [kh, kw] }).random(x).random(dp).below(dp, 5)
    };
    use Padding::{Same, Valid};
    vec![
        case(Valid, [1, 1], [2, 4, 4, 1], [3, 3, 1]),
        case(Valid, [1, 1], [5, 28, 28, 1], [3, 3, 32]),
        case(Valid, [1, 1], [3, 9, 12, 1], [3, 3, 36]),
        case(Same, [1, 1], [2, 7, 6, 3], [3, 3, 32]),
        case(Same, [2, 2], [1, 13, 11, 5], [3, 3, 8]),
        case(Valid, [1, 1], [2, 12, 11, 32], [3, 3, 64]),
        case(Same, [1, 2], [70, 6, 9, 2], [2, 3, 4]),
        case(Valid, [1, 2], [1, 9, 12, 36], [2, 3, 4]),
    ]
}
