//! The gradient of max pooling: each window's goes to the place of its maximum.

use crate::ops::conv::conv2d_relu_pool::POOL;
use crate::ops::conv::geometry::Geometry;
use crate::ops::pool::max_pool2d::MaxPool2d;
use crate::ops::pool::windows::{Windows, awkward};
use crate::ops::prelude::*;

kernels! {
    MAX_POOL2D_DX = "pool/max_pool2d_dx",
    MAX_POOL2D_DX_APART = "pool/max_pool2d_dx_apart",
}

/// dx [N, H, W, C] sums dy over the windows whose argmax is there. The arguments are dy and argmax
/// [N, OH, OW, C]; an argmax of KH·KW or more is not a place: that window's gradient is dropped.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2dDx {
    /// The pool.
    pub pool: MaxPool2d,
    /// Height and width of its input.
    pub input: [usize; 2],
}

impl Reference for MaxPool2dDx {
    fn reference<F: Real>(&self, x: &[In<F>], dx: &mut [Out<F>]) {
        let [n, _, _, c]: [usize; 4] = x[0].axes();
        let g = checked(self.pool.geometry([n, self.input[0], self.input[1], c]));
        let (dy, argmax, dx) = (x[0].floats(), x[1].words(), dx[0].floats());
        let images = dx.par_chunks_mut(g.h * g.w * g.c).enumerate();
        images.for_each(|(n, dx)| {
            dx.fill(F::of(0.0));
            for place in 0..g.oh * g.ow {
                let (oh, ow) = (place / g.ow, place % g.ow);
                for c in 0..g.c {
                    let at = (n * g.oh * g.ow + place) * g.c + c;
                    let best = argmax[at] as usize;
                    if best < g.kh * g.kw
                        && let Some(pixel) = g.pixel([oh, ow], best)
                    {
                        dx[pixel * g.c + c] += dy[at];
                    }
                }
            }
        });
    }
}

impl Op for MaxPool2dDx {
    fn name(&self) -> &'static str {
        "max_pool2d_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, argmax] = arguments(x)?;
        let [n, _, _, c] = axes(argmax)?;
        let g = self.pool.geometry([n, self.input[0], self.input[1], c])?;
        if axes(argmax)? != g.y() || dy.elements() != argmax.elements() {
            return Err(format!("dy and argmax of {:?} are expected", g.y()));
        }
        Ok(vec![TensorInfo::floats("max_pool2d_dx", g.x())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let g = self.pool.geometry(cx.axes(cx.y[0])?).map_err(Error::input)?;
        dispatch(cx, &g, cx.x[0], cx.x[1], cx.y[0])
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: self.pool.0.size.iter().product(), ulps: 0.0 }
    }
}

/// Takes dy and argmax back to dx.
pub(in crate::ops) fn dispatch(
    cx: &mut Lower,
    g: &Geometry,
    dy: Tensor,
    argmax: Tensor,
    dx: Tensor,
) -> crate::Result<()> {
    let apart = g.sh >= g.kh && g.sw >= g.kw && g.c.is_multiple_of(4);
    let (kernel, elements) = if apart { (MAX_POOL2D_DX_APART, 4) } else { (MAX_POOL2D_DX, 1) };
    let count = g.n * g.h * g.w * g.c / elements;
    let launch = cx.kernel(kernel, &[])?.sizes(&g.sizes()).size("count", count);
    cx.invocations(launch.bind("dy", dy).bind("argmax", argmax).bind("dx", dx), count)
}

/// The gradient of a convolution's places, from that of the 2 × 2 pool after it: computed once for both of its
/// gradients.
pub(in crate::ops) fn spread(cx: &mut Lower, conv: &Geometry, dy: Tensor, argmax: Tensor) -> crate::Result<Tensor> {
    let pooled = POOL.geometry(conv.y()).map_err(Error::input)?;
    cx.derived(dy, "spread", |cx| {
        let dx = cx.scratch(conv.places() * conv.o);
        dispatch(cx, &pooled, dy, argmax, dx)?;
        Ok(dx)
    })
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |(windows, x): (Windows, [usize; 4])| {
        let (pool, size) = (MaxPool2d(windows), windows.size);
        let y = pool.geometry(x).map_or([0; 4], |g| g.y());
        // One more than there are places: the windows that drop their gradient.
        Case::new(MaxPool2dDx { pool, input: [x[1], x[2]] }).random(y).below(y, (size[0] * size[1] + 1) as u32)
    };
    let case = |size, stride, x| of((Windows::new(size, stride), x));
    let plain = vec![
        case([2, 2], [2, 2], [2, 7, 6, 5]),
        case([3, 3], [2, 2], [1, 9, 8, 3]),
        case([2, 3], [1, 2], [2, 5, 7, 4]),
        case([3, 3], [4, 5], [1, 11, 13, 1]),
        case([1, 1], [1, 1], [1, 1, 1, 1]),
        case([2, 2], [2, 2], [2, 26, 27, 32]),
        case([2, 1], [3, 2], [2, 11, 9, 8]),
    ];
    plain.into_iter().chain(awkward().into_iter().map(of)).collect()
}
