//! The gradient of a convolution with respect to its input.

use crate::ops::conv::conv2d::{Conv2d, awkward};
use crate::ops::conv::conv2d_dw::Conv2dDw;
use crate::ops::conv::geometry::{Geometry, LanesForm, Padding};
use crate::ops::conv::{im2col, pad};
use crate::ops::matmul::splits;
use crate::ops::matmul::splits::{Epilogue, With};
use crate::ops::pointwise::relu_dx::{ReluDx, apply_mask, check_mask, split_mask};
use crate::ops::prelude::*;
use crate::ops::shape::reshape;

kernels! {
    CONV2D_DX_TILE = "conv/conv2d_dx_tile",
    CONV2D_DX_LANES = "conv/conv2d_dx_lanes",
}

/// `dx[n, r, s, c] = Σ dy[n, oh, ow, o] · w[i, j, c, o]` over the places and taps that read (r, s).
/// With `masked` it is 0 where a mask is not above 0: the gradient of a ReLU before the convolution.
/// The arguments are dy [N, OH, OW, O], w [KH, KW, C, O] and the mask [N, H, W, C]; the result is [N, H, W, C].
#[derive(Clone, Copy, Debug)]
pub struct Conv2dDx {
    /// The convolution.
    pub conv: Conv2d,
    /// Height and width of its input.
    pub input: [usize; 2],
    /// Whether the last argument is a mask.
    pub masked: bool,
}

impl Conv2dDx {
    fn geometry(&self, dy: [usize; 4], w: [usize; 4]) -> Result<Geometry, String> {
        let g = self.conv.geometry([dy[0], self.input[0], self.input[1], w[2]], w)?;
        if g.y() != dy {
            return Err(format!("dy of {:?} is expected", g.y()));
        }
        Ok(g)
    }
}

impl Reference for Conv2dDx {
    fn reference<F: Real>(&self, x: &[In<F>], dx: &mut [Out<F>]) {
        let g = checked(self.geometry(x[0].axes(), x[1].axes()));
        let (dy, w, dx) = (x[0].floats(), x[1].floats(), dx[0].floats());
        dx.fill(F::of(0.0));
        g.for_each_tap(|at_x, at_w, at_y| {
            for c in 0..g.c {
                for o in 0..g.o {
                    dx[at_x + c] += dy[at_y + o] * w[at_w + c * g.o + o];
                }
            }
        });
        apply_mask(split_mask(x, self.masked).1, dx);
    }
}

impl Op for Conv2dDx {
    fn name(&self) -> &'static str {
        "conv2d_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (x, mask) = split_mask(x, self.masked);
        let [dy, w] = arguments(x)?;
        let g = self.geometry(axes(dy)?, axes(w)?)?;
        check_mask(mask, TensorInfo::floats("conv2d_dx", g.x()))
    }

    /// As the forward pass of a transposed convolution: the gradient of dy is the convolution, that of w the
    /// convolution's own with the gradient of dx in the place of its input.
    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let (dy, w) = (at.x[0], at.x[1]);
        let Some(mut up) = at.dy[0] else { return Ok(vec![None; at.x.len()]) };
        if let (_, Some(&mask)) = split_mask(at.x, self.masked) {
            up = graph.apply(ReluDx, &[up, mask])?[0];
        }
        let [kh, kw, ..] = axes::<4>(graph.info(w)).map_err(Error::input)?;
        let mut grads = vec![None; at.x.len()];
        if at.wants[0] {
            grads[0] = Some(graph.apply(self.conv.plain(), &[up, w])?[0]);
        }
        if at.wants[1] {
            grads[1] = Some(graph.apply(Conv2dDw { conv: self.conv, kernel: [kh, kw] }, &[up, dy])?[0]);
        }
        Ok(grads)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let g = self.geometry(cx.axes(cx.x[0])?, cx.axes(cx.x[1])?).map_err(Error::input)?;
        let (dy, mask) = (cx.x[0], split_mask(cx.x, self.masked).1);
        let dy = if lanes_form(&g, cx.class).is_some() { reshape::texture(cx, dy)?.0 } else { dy };
        dispatch(cx, &g, dy, cx.x[1], mask.copied())
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let shapes = axes(x[0]).and_then(|a| Ok((a, axes(x[1])?)));
        shapes.and_then(|(a, b)| self.geometry(a, b)).map_or(0, |g| g.flops())
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].elements() / x[1].shape.0[2], ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], dx: &mut [Out<f32>]) {
        let g = checked(self.geometry(x[0].axes(), x[1].axes()));
        im2col::input_gradient(&g, x[0].floats(), None, x[1].floats(), dx[0].floats());
        apply_mask(split_mask(x, self.masked).1, dx[0].floats());
    }
}

/// The product form of the lanes class, where it serves.
pub(in crate::ops) fn lanes_form(g: &Geometry, class: KernelClass) -> Option<(u32, LanesTile)> {
    let KernelClass::Lanes(lanes) = class else { return None };
    match g.product_form(lanes, g.o, g.c) {
        LanesForm::Product(tile) => Some((lanes, tile)),
        _ => None,
    }
}

/// dy, which lies in a texture where there is a lanes form, back through the weights into the op's result.
pub(in crate::ops) fn dispatch(
    cx: &mut Lower,
    g: &Geometry,
    dy: Tensor,
    weights: Tensor,
    mask: Option<Tensor>,
) -> crate::Result<()> {
    if cx.class == KernelClass::Tile || lanes_form(g, cx.class).is_some() {
        return dispatch_into(cx, g, [dy, weights], mask, cx.y[0]);
    }
    let even = Geometry { c: g.c.next_multiple_of(4), o: g.o.next_multiple_of(4), ..*g };
    let pixels = g.n * g.h * g.w;
    let dy = pad::padded(cx, dy, [g.places(), 1, g.o], [1, even.o])?;
    let dy = reshape::texture(cx, dy)?.0;
    let weights = pad::padded(cx, weights, [g.kh * g.kw, g.c, g.o], [even.c, even.o])?;
    let mask = mask.map(|mask| pad::padded(cx, mask, [pixels, 1, g.c], [1, even.c])).transpose()?;
    pad::cropped(cx, cx.y[0], [pixels, 1, even.c], [1, g.c], |cx, dx| dispatch_into(cx, &even, [dy, weights], mask, dx))
}

fn dispatch_into(
    cx: &mut Lower,
    g: &Geometry,
    [dy, weights]: [Tensor; 2],
    mask: Option<Tensor>,
    dx: Tensor,
) -> crate::Result<()> {
    let pixels = g.n * g.h * g.w;
    let (launch, (weights, first), groups) = match lanes_form(g, cx.class) {
        Some((lanes, tile)) => {
            let groups = tile.groups(pixels, g.c, lanes);
            let weights = reshape::texture(cx, weights)?;
            (cx.kernel(CONV2D_DX_LANES, &tile.params(lanes))?, weights, groups)
        }
        None => {
            let tile = Tile::of(pixels, g.c, g.o.is_multiple_of(4));
            let launch = cx.kernel(CONV2D_DX_TILE, &tile.params())?.sizes(&g.sizes());
            let launch = launch.bind("dy", dy).bind("weights", weights);
            let tiles = tile.groups(pixels, g.c);
            let end = Epilogue { with: With::Mask(mask), ..Epilogue::default() };
            return splits::product(cx, launch, [tiles, g.kh * g.kw * g.o, g.c], end, [weights, dx]);
        }
    };
    // Where there is no mask the kernel does not read it, and any float buffer will do.
    let launch = launch
        .sizes(&g.sizes())
        .size("first", first)
        .set("masked", mask.is_some())
        .bind("mask", mask.unwrap_or(cx.x[0]));
    cx.groups(launch.bind("dy", dy).bind("weights", weights).bind("y", dx), groups)
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(conv, x, w): (Conv2d, [usize; 4], [usize; 4])| {
        let y = conv.geometry(x, w).map_or([0; 4], |g| g.y());
        let op = Conv2dDx { conv, input: [x[1], x[2]], masked: false };
        // Small integers: the mask is often exactly zero.
        let masked = Case::new(Conv2dDx { masked: true, ..op }).random(y).random(w).integers(x, 1);
        [Case::new(op).random(y).random(w), masked]
    };
    let op = Conv2dDx { conv: Conv2d::new([1, 1], Padding::Same), input: [256, 256], masked: false };
    let large = Case::new(op).random([1, 256, 256, 4]).random([3, 3, 68, 4]);
    in_turn(awkward().into_iter().map(case)).into_iter().chain([large]).collect()
}
