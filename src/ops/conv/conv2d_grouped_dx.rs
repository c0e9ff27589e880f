//! The gradient of a convolution in groups, or with dilation, with respect to its input.

use crate::ops::conv::conv2d_grouped::{Conv2dGrouped, Form, Grouped, awkward};
use crate::ops::prelude::*;

kernels! {
    CONV2D_GROUPED_DX = "conv/conv2d_grouped_dx",
    CONV2D_GROUPED_DX_FOUR = "conv/conv2d_grouped_dx_four",
    CONV2D_GROUPED_DX_DEPTH = "conv/conv2d_grouped_dx_depth",
}

/// `dx[n, r, s, c] = Σ dy[n, oh, ow, o] · w[i, j, c mod inner, o]` over the places and taps that read (r, s), and the
/// outputs of c's group. The arguments are dy [N, OH, OW, O] and w [KH, KW, inner, O]; the result is [N, H, W, C].
#[derive(Clone, Copy, Debug)]
pub struct Conv2dGroupedDx {
    /// The convolution.
    pub conv: Conv2dGrouped,
    /// Height and width of its input.
    pub input: [usize; 2],
}

impl Conv2dGroupedDx {
    fn geometry(&self, dy: [usize; 4], w: [usize; 4]) -> Result<Grouped, String> {
        let channels = w[2].saturating_mul(self.conv.groups);
        let s = self.conv.geometry([dy[0], self.input[0], self.input[1], channels], w)?;
        match s.g.y() == dy {
            true => Ok(s),
            false => Err(format!("dy of {:?} is expected", s.g.y())),
        }
    }
}

impl Reference for Conv2dGroupedDx {
    fn reference<F: Real>(&self, x: &[In<F>], dx: &mut [Out<F>]) {
        let s = checked(self.geometry(x[0].axes(), x[1].axes()));
        let (dy, w) = (x[0].floats(), x[1].floats());
        let images = dx[0].floats().par_chunks_mut(s.g.h * s.g.w * s.g.c).zip(dy.par_chunks(s.g.oh * s.g.ow * s.g.o));
        images.for_each(|(dx, dy)| {
            dx.fill(F::of(0.0));
            s.for_each_tap(|at_x, at_w, at_y| {
                let (dx, w, dy) = (&mut dx[at_x..][..s.g.c], &w[at_w..][..s.inner * s.g.o], &dy[at_y..][..s.g.o]);
                if (s.inner, s.outer) == (1, 1) {
                    return dx.iter_mut().zip(dy).zip(w).for_each(|((dx, dy), w)| *dx += *dy * *w);
                }
                s.for_each_channel(|c, at_w, o| {
                    let w = &w[at_w..][..s.outer];
                    dy[o..][..s.outer].iter().zip(w).for_each(|(dy, w)| dx[c] += *dy * *w);
                });
            });
        });
    }
}

impl Op for Conv2dGroupedDx {
    fn name(&self) -> &'static str {
        "conv2d_grouped_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, w] = arguments(x)?;
        let s = self.geometry(axes(dy)?, axes(w)?)?;
        Ok(vec![TensorInfo::floats("conv2d_grouped_dx", s.g.x())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let s = self.geometry(cx.axes(cx.x[0])?, cx.axes(cx.x[1])?).map_err(Error::input)?;
        let elements = cx.elements(cx.y[0]);
        let (kernel, count) = match s.form() {
            Form::Any => (CONV2D_GROUPED_DX, elements),
            Form::Four => (CONV2D_GROUPED_DX_FOUR, elements),
            Form::Depth => (CONV2D_GROUPED_DX_DEPTH, elements / 4),
        };
        let launch = s.set(cx.kernel(kernel, &[])?).size("count", count).bind("dy", cx.x[0]);
        cx.invocations(launch.bind("weights", cx.x[1]).bind("dx", cx.y[0]), count)
    }

    fn flops(&self, x: &[&TensorInfo]) -> u64 {
        let shapes = axes(x[0]).and_then(|a| Ok((a, axes(x[1])?)));
        shapes.and_then(|(a, b)| self.geometry(a, b)).map_or(0, |s| s.flops())
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let [kh, kw, _, o] = x[1].shape.0[..] else { return Rounding::EXACT };
        Rounding { terms: kh * kw * o / self.conv.groups.max(1), ulps: 1.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |(conv, x, w): (Conv2dGrouped, [usize; 4], [usize; 4])| {
        let y = conv.geometry(x, w).map_or([0; 4], |s| s.g.y());
        Case::new(Conv2dGroupedDx { conv, input: [x[1], x[2]] }).random(y).random(w)
    };
    awkward().into_iter().map(case).collect()
}
