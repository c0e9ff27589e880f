//! The gradient of a convolution with respect to its input.

use super::conv2d::{Conv2d, awkward};
use super::geometry::{Geometry, LanesForm, product_params};
use super::prelude::*;
use super::{im2col, transpose};

pub(super) const KERNELS: &[Source] = &[shader!(template "conv2d_dx_tile"), shader!(template "conv2d_dx_lanes")];

/// `dx[n, r, s, c] = Σ dy[n, oh, ow, o] · w[i, j, c, o]` over the places and taps that read (r, s).
/// The arguments are dy [N, OH, OW, O] and w [KH, KW, C, O]; the result is [N, H, W, C].
#[derive(Clone, Copy, Debug)]
pub struct Conv2dDx {
    /// The convolution.
    pub conv: Conv2d,
    /// Height and width of its input.
    pub input: [usize; 2],
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
        let Ok(g) = self.geometry(x[0].axes(), x[1].axes()) else { return };
        let (dy, w, dx) = (x[0].floats(), x[1].floats(), dx[0].floats());
        dx.fill(F::of(0.0));
        g.for_each_tap(|at_x, at_w, at_y| {
            for c in 0..g.c {
                for o in 0..g.o {
                    dx[at_x + c] += dy[at_y + o] * w[at_w + c * g.o + o];
                }
            }
        });
    }
}

impl Op for Conv2dDx {
    fn name(&self) -> &'static str {
        "conv2d_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, w] = arguments(x)?;
        let g = self.geometry(axes(dy)?, axes(w)?)?;
        Ok(vec![TensorInfo::floats("conv2d_dx", g.x())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let g = self.geometry(cx.axes(cx.x[0])?, cx.axes(cx.x[1])?).map_err(Error::input)?;
        if let Class::Lanes(lanes) = cx.class
            && let LanesForm::Product { rows, vectors } = g.product_form(lanes, g.o, g.c)
        {
            let turned = cx.scratch(g.kh * g.kw * g.c * g.o);
            transpose::dispatch(cx, [g.kh * g.kw, g.c, g.o], cx.x[1], turned)?;
            let launch = cx.kernel(KERNELS[1], &product_params(lanes, rows, vectors, g.o))?.sizes(&g.sizes());
            let launch = launch.bind("dy", cx.x[0]).bind("turned", turned).bind("dx", cx.y[0]);
            let groups = (g.n * g.h * g.w).div_ceil(rows) * (g.c / 4).div_ceil(vectors * lanes as usize);
            return cx.groups(launch, groups);
        }
        let (tm, tn) = (64, tile(g.c));
        let launch = cx.kernel(KERNELS[0], &[("TM", tm as i64), ("TN", tn as i64)])?.sizes(&g.sizes());
        let launch = launch.bind("dy", cx.x[0]).bind("weights", cx.x[1]).bind("dx", cx.y[0]);
        cx.groups(launch, (g.n * g.h * g.w).div_ceil(tm) * g.c.div_ceil(tn))
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let shapes = axes(x[0]).and_then(|a| Ok((a, axes(x[1])?)));
        shapes.and_then(|(a, b)| self.geometry(a, b)).map_or(0, |g| g.flops())
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[1].elements() / x[1].shape.0[2], ulps: 1.0 }
    }

    fn fast(&self, x: &[In<f32>], dx: &mut [Out<f32>]) {
        let Ok(g) = self.geometry(x[0].axes(), x[1].axes()) else { return };
        im2col::input_gradient(&g, x[0].floats(), x[1].floats(), dx[0].floats());
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |(conv, x, w): (Conv2d, [usize; 4], [usize; 4])| {
        let y = conv.geometry(x, w).map_or([0; 4], |g| g.y());
        Case::new(Conv2dDx { conv, input: [x[1], x[2]] }).random(y).random(w)
    };
    awkward().into_iter().map(case).collect()
}
