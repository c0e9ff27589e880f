//! The gradient of a convolution with ReLU and pool after it, with respect to its input.

use crate::ir::op::Elements;
use crate::ops::conv::conv2d::Conv2d;
use crate::ops::conv::conv2d_dx;
use crate::ops::conv::conv2d_dx::Conv2dDx;
use crate::ops::conv::conv2d_relu_pool::{Conv2dReluPool, POOL};
use crate::ops::conv::geometry::{Geometry, Padding};
use crate::ops::conv::im2col;
use crate::ops::pointwise::relu_dx::{apply_mask, check_mask, split_mask};
use crate::ops::pointwise::then::Then;
use crate::ops::pool::max_pool2d_dx;
use crate::ops::pool::max_pool2d_dx::MaxPool2dDx;
use crate::ops::prelude::*;

kernels! {
    CONV2D_RELU_POOL_DX_TEXTURE = "conv/conv2d_relu_pool_dx_texture",
}

/// `conv2d_dx(max_pool2d_dx(dp, argmax), w)`; with `masked` it is 0 where a mask is not above 0.
/// The arguments are dp and argmax [N, PH, PW, O], w [KH, KW, C, O] and the mask [N, H, W, C]; the result is [N, H, W, C].
#[derive(Clone, Copy, Debug)]
pub struct Conv2dReluPoolDx {
    /// The convolution.
    pub conv: Conv2d,
    /// Height and width of its input.
    pub input: [usize; 2],
    /// Whether the last argument is a mask.
    pub masked: bool,
}

impl Conv2dReluPoolDx {
    fn geometry(&self, dp: [usize; 4], w: [usize; 4]) -> Result<Geometry, String> {
        let fused = Conv2dReluPool { conv: self.conv };
        let (g, [ph, pw]) = fused.geometry([dp[0], self.input[0], self.input[1], w[2]], w)?;
        match [g.n, ph, pw, g.o] == dp {
            true => Ok(g),
            false => Err(format!("dy of {:?} is expected", [g.n, ph, pw, g.o])),
        }
    }
}

impl Reference for Conv2dReluPoolDx {
    fn reference<F: Real>(&self, x: &[In<F>], dx: &mut [Out<F>]) {
        let g = checked(self.geometry(x[1].axes(), x[2].axes()));
        let mut dz = vec![F::of(0.0); g.places() * g.o];
        MaxPool2dDx { pool: POOL, input: [g.oh, g.ow] }.reference(&x[..2], &mut [Out::Float(&mut dz)]);
        let dz = In { shape: &g.y(), elements: Elements::Float(&dz) };
        Conv2dDx { conv: self.conv, input: self.input, masked: false }.reference(&[dz, x[2]], dx);
        apply_mask(split_mask(x, self.masked).1, dx[0].floats());
    }
}

impl Op for Conv2dReluPoolDx {
    fn name(&self) -> &'static str {
        "conv2d_relu_pool_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (x, mask) = split_mask(x, self.masked);
        let [dp, argmax, w] = arguments(x)?;
        let g = self.geometry(axes(argmax)?, axes(w)?)?;
        if dp.elements() != argmax.elements() {
            return Err("dy and argmax must have one size".into());
        }
        check_mask(mask, TensorInfo::floats("conv2d_dx", g.x()))
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let g = self.geometry(cx.axes(cx.x[1])?, cx.axes(cx.x[2])?).map_err(Error::input)?;
        let dz = match conv2d_dx::lanes_form(&g, cx.class) {
            Some(_) => spread_texture(cx, &g)?,
            None => max_pool2d_dx::spread(cx, &g, cx.x[0], cx.x[1])?,
        };
        conv2d_dx::dispatch(cx, &g, dz, cx.x[2], split_mask(cx.x, self.masked).1.copied())
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let shapes = axes(x[1]).and_then(|a| Ok((a, axes(x[2])?)));
        shapes.and_then(|(a, b)| self.geometry(a, b)).map_or(0, |g| g.flops())
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[2].elements() / x[2].shape.0[2], ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], dx: &mut [Out<f32>]) {
        let g = checked(self.geometry(x[1].axes(), x[2].axes()));
        im2col::input_gradient(&g, x[0].floats(), Some(x[1].words()), x[2].floats(), dx[0].floats());
        apply_mask(split_mask(x, self.masked).1, dx[0].floats());
    }
}

/// The gradient of the convolution's places, in a texture.
fn spread_texture(cx: &mut Lower, g: &Geometry) -> crate::Result<Tensor> {
    let pooled = [("ph", g.oh / 2), ("pw", g.ow / 2)];
    let (dz, count) = (cx.scratch(g.places() * g.o), g.places() * g.o / 4);
    let launch = cx.kernel(CONV2D_RELU_POOL_DX_TEXTURE, &[])?.sizes(&g.sizes()).sizes(&pooled).size("count", count);
    cx.invocations(launch.bind("dp", cx.x[0]).bind("argmax", cx.x[1]).bind("dz", dz), count)?;
    Ok(dz)
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |padding, stride, x: [usize; 4], w: [usize; 4]| {
        let conv = Conv2d { then: Then::Relu, ..Conv2d::new(stride, padding) };
        let fused = Conv2dReluPool { conv }.geometry(x, w);
        let dp = fused.map_or([0; 4], |(g, [ph, pw])| [g.n, ph, pw, g.o]);
        let op = Conv2dReluPoolDx { conv, input: [x[1], x[2]], masked: false };
        let masked = Case::new(Conv2dReluPoolDx { masked: true, ..op });
        [Case::new(op).random(dp).below(dp, 5).random(w), masked.random(dp).below(dp, 5).random(w).integers(x, 1)]
    };
    use Padding::{Same, Valid};
    let cases = [
        case(Valid, [1, 1], [2, 4, 4, 1], [3, 3, 1, 1]),
        case(Same, [1, 1], [2, 7, 6, 3], [3, 3, 3, 32]),
        case(Same, [2, 2], [1, 13, 11, 5], [3, 3, 5, 8]),
        case(Valid, [1, 1], [2, 12, 11, 32], [3, 3, 32, 64]),
        case(Same, [1, 2], [3, 6, 9, 8], [2, 3, 8, 36]),
    ];
    cases.into_iter().flatten().collect()
}
