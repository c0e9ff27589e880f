//! Convolution, ReLU and a 2 × 2 max pool in one pass: what lies between never reaches memory.

use crate::ir::launch::Launch;
use crate::ops::conv::conv2d::Conv2d;
use crate::ops::conv::conv2d_relu_pool_dw::Conv2dReluPoolDw;
use crate::ops::conv::conv2d_relu_pool_dx::Conv2dReluPoolDx;
use crate::ops::conv::geometry::{Geometry, LanesForm, Padding};
use crate::ops::conv::{direct, im2col, pad};
use crate::ops::matmul::bias::{check_bias, split_bias};
use crate::ops::matmul::splits;
use crate::ops::pointwise::then::Then;
use crate::ops::pool::max_pool2d::MaxPool2d;
use crate::ops::pool::windows::Windows;
use crate::ops::prelude::*;
use crate::ops::shape::reshape;

kernels! {
    CONV2D_RELU_POOL_TILE = "conv/conv2d_relu_pool_tile",
    CONV2D_RELU_POOL_LANES = "conv/conv2d_relu_pool_lanes",
    CONV2D_RELU_POOL_PATCH_LANES = "conv/conv2d_relu_pool_patch_lanes",
    CONV2D_RELU_POOL_SUM = "conv/conv2d_relu_pool_sum",
}

/// `max_pool2d(relu(conv2d(x, w, b)))` with windows of 2 × 2 side by side. The arguments are those of the
/// convolution; the results y [N, PH, PW, O] and argmax, which is 4 (no place) where the ReLU lets nothing through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2dReluPool {
    /// The convolution.
    pub conv: Conv2d,
}

/// The pool after the convolution.
pub const POOL: MaxPool2d = MaxPool2d(Windows::new([2, 2], [2, 2]));

impl Conv2dReluPool {
    /// The sizes of the convolution, and rows and columns of windows.
    pub fn geometry(&self, x: [usize; 4], w: [usize; 4]) -> Result<(Geometry, [usize; 2]), String> {
        let g = self.conv.geometry(x, w)?;
        let pooled = POOL.geometry(g.y())?;
        Ok((g, [pooled.oh, pooled.ow]))
    }
}

impl Reference for Conv2dReluPool {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (g, _) = checked(self.geometry(x[0].axes(), x[1].axes()));
        let mut z = vec![F::of(0.0); g.places() * g.o];
        self.conv.plain().reference(x, &mut [Out::Float(&mut z)]);
        let z = In { shape: &g.y(), elements: crate::ir::op::Elements::Float(&z) };
        POOL.reference(&[z], y);
        let [y, argmax] = results(y);
        for (y, argmax) in y.floats().iter_mut().zip(argmax.words()) {
            if *y <= F::of(0.0) {
                (*y, *argmax) = (F::of(0.0), 4);
            }
        }
    }
}

impl Op for Conv2dReluPool {
    fn name(&self) -> &'static str {
        "conv2d_relu_pool"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (x, bias) = split_bias(x);
        let [x, w] = arguments(x)?;
        let (g, [ph, pw]) = self.geometry(axes(x)?, axes(w)?)?;
        check_bias(bias, g.o)?;
        let y = [g.n, ph, pw, g.o];
        Ok(vec![TensorInfo::floats("conv2d_relu_pool", y), TensorInfo::words("argmax", y)])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let mut grads = vec![None; at.x.len()];
        let Some(dy) = at.dy[0] else { return Ok(grads) };
        let shape = |t| axes::<4>(graph.info(t)).map_err(Error::input);
        let (g, _) = self.geometry(shape(at.x[0])?, shape(at.x[1])?).map_err(Error::input)?;
        if at.wants[0] {
            let op = Conv2dReluPoolDx { conv: self.conv, input: [g.h, g.w], masked: false };
            grads[0] = Some(graph.apply(op, &[dy, at.y[1], at.x[1]])?[0]);
        }
        if at.wants[1..].contains(&true) {
            let op = Conv2dReluPoolDw { conv: self.conv, kernel: [g.kh, g.kw] };
            let of_weights = graph.apply(op, &[at.x[0], dy, at.y[1]])?;
            grads[1..].iter_mut().zip(of_weights).for_each(|(grad, sum)| *grad = Some(sum));
        }
        Ok(grads)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (g, [ph, pw]) = self.geometry(cx.axes(cx.x[0])?, cx.axes(cx.x[1])?).map_err(Error::input)?;
        let Some(even) = g.evened(cx.class) else {
            let arguments = ([cx.x[0], cx.x[1]], cx.x.get(2).copied());
            return dispatch(cx, &g, [ph, pw], arguments, [cx.y[0], cx.y[1]]);
        };
        let x = cx.x;
        let arguments = pad::arguments(cx, x, &g, &even)?;
        let (windows, [y, argmax]) = (g.n * ph * pw, [cx.y[0], cx.y[1]]);
        pad::cropped(cx, y, [windows, 1, even.o], [1, g.o], |cx, y| {
            pad::cropped(cx, argmax, [windows, 1, even.o], [1, g.o], |cx, argmax| {
                dispatch(cx, &even, [ph, pw], arguments, [y, argmax])
            })
        })
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let shapes = axes(x[0]).and_then(|a| Ok((a, axes(x[1])?)));
        shapes.and_then(|(a, b)| self.geometry(a, b)).map_or(0, |(g, _)| g.flops())
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].elements() / x[1].shape.0[3] + 1, ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], y: &mut [Out<f32>]) {
        let ((g, _), [y, argmax]) = (checked(self.geometry(x[0].axes(), x[1].axes())), results(y));
        let (x, w, b, y, argmax) = (x[0].floats(), x[1].floats(), x.get(2).map(In::floats), y.floats(), argmax.words());
        match direct::fits(&g) {
            true => direct::Forward { g: &g, x, w, b, then: Then::Relu, y, argmax: Some(argmax) }.run(),
            false => im2col::forward_pooled(&g, x, w, b, y, argmax),
        }
    }
}

/// The convolution of x with weights and bias, and its pool of `ph` × `pw` windows, into y and argmax.
fn dispatch(
    cx: &mut Lower,
    g: &Geometry,
    [ph, pw]: [usize; 2],
    ([mut x, mut weights], bias): pad::Arguments,
    [y, argmax]: [Tensor; 2],
) -> crate::Result<()> {
    let (windows, mut first) = (g.n * ph * pw, 0);
    let form = match cx.class {
        KernelClass::Tile => LanesForm::Tile,
        KernelClass::Lanes(lanes) => g.lanes_form(lanes, g.c, g.o),
    };
    let (launch, groups) = match (form, cx.class) {
        (LanesForm::Patch, KernelClass::Lanes(lanes)) => {
            let groups = g.n * ph * (g.o / 4).div_ceil(lanes as usize);
            (cx.kernel(CONV2D_RELU_POOL_PATCH_LANES, &g.patch_params(lanes))?, groups)
        }
        (LanesForm::Product(tile), KernelClass::Lanes(lanes)) => {
            let groups = tile.groups(windows * 4, g.o, lanes);
            (x, _) = reshape::texture(cx, x)?;
            (weights, first) = reshape::texture(cx, weights)?;
            (cx.kernel(CONV2D_RELU_POOL_LANES, &tile.params(lanes))?, groups)
        }
        _ => {
            let tile = Tile::of_windows(g.o, g.c.is_multiple_of(4) && g.o.is_multiple_of(4));
            let launch = cx.kernel(CONV2D_RELU_POOL_TILE, &tile.params())?;
            let launch =
                launch.sizes(&g.sizes()).sizes(&[("ph", ph), ("pw", pw)]).bind("x", x).bind("weights", weights);
            let end = |launch: Launch, any| {
                launch.set("biased", bias.is_some()).bind("bias", bias.unwrap_or(any)).bind("argmax", argmax)
            };
            let (tiles, count) = (tile.groups(windows.div_ceil(16) * 64, g.o), windows * g.o);
            let sizes = [tiles, g.terms(), 4 * count];
            return splits::split(cx, end(launch, weights), sizes, ("y", y), |cx, partials, splits| {
                let launch = end(splits::sum(cx, CONV2D_RELU_POOL_SUM, partials, splits)?, partials).bind("y", y);
                splits::sums(cx, launch.size("elements", count).size("o", g.o), count, splits)
            });
        }
    };
    let launch = launch.sizes(&g.sizes()).sizes(&[("ph", ph), ("pw", pw), ("first", first)]);
    let launch = launch.bind("x", x).bind("weights", weights);
    let launch = launch.set("biased", bias.is_some()).bind("bias", bias.unwrap_or(cx.x[1]));
    cx.groups(launch.bind("y", y).bind("argmax", argmax), groups)
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    // Small integers, whose sums of products are exact: the ties between places, and the sums of exactly
    // zero, are the same for everybody.
    let case = |padding, stride, x: [usize; 4], w: [usize; 4]| {
        let conv = Conv2d { then: Then::Relu, ..Conv2d::new(stride, padding) };
        let plain = || Case::new(Conv2dReluPool { conv }).integers(x, 2).integers(w, 2);
        [plain().integers([w[3]], 2), plain()]
    };
    use Padding::{Same, Valid};
    let cases = [
        case(Valid, [1, 1], [2, 4, 4, 1], [3, 3, 1, 1]),
        case(Valid, [1, 1], [5, 28, 28, 1], [3, 3, 1, 32]),
        case(Valid, [1, 1], [3, 9, 12, 1], [3, 3, 1, 33]),
        case(Same, [1, 1], [2, 7, 6, 3], [5, 5, 3, 32]),
        case(Same, [2, 2], [1, 13, 11, 5], [3, 3, 5, 7]),
        case(Valid, [1, 1], [2, 12, 11, 32], [3, 3, 32, 64]),
        case(Same, [1, 1], [1, 8, 9, 8], [2, 3, 8, 36]),
        case(Same, [1, 1], [3, 2, 2, 4], [1, 1, 4, 4]),
        case(Same, [1, 1], [1, 4, 5, 130], [3, 3, 130, 4]),
    ];
    cases.into_iter().flatten().collect()
}
