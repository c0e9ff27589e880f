//! Max pooling, which records the place of each maximum for the way back.

use crate::ops::conv::geometry::Geometry;
use crate::ops::pool::max_pool2d_dx::MaxPool2dDx;
use crate::ops::pool::windows::{Windows, awkward};
use crate::ops::prelude::*;

kernels! {
    MAX_POOL2D = "pool/max_pool2d",
    MAX_POOL2D_WHOLE = "pool/max_pool2d_whole",
}

/// `y[n, oh, ow, c]` is the largest of x in a window, `argmax` its place i·KW + j there, the first of equals. Padding is
/// never the largest. x [N, H, W, C]; y and argmax [N, OH, OW, C].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2d(
    /// Its windows.
    pub Windows,
);

/// The eights of channels of a pool of one window an image that is too large for one invocation, and so for a
/// workgroup; none for all others.
pub(in crate::ops) fn whole(g: &Geometry) -> Option<usize> {
    (g.oh * g.ow == 1 && g.kh * g.kw >= 64 && !g.padded()).then(|| g.c.div_ceil(8))
}

impl MaxPool2d {
    /// The sizes for x [N, H, W, C].
    pub fn geometry(&self, x: [usize; 4]) -> Result<Geometry, String> {
        self.0.geometry(x)
    }

    fn pool<F: Real>(&self, x: &In<F>, y: &mut [Out<F>]) {
        let (g, [y, argmax]) = (checked(self.geometry(x.axes())), results(y));
        let row = g.ow * g.c;
        let rows = y.floats().par_chunks_mut(row).zip(argmax.words().par_chunks_mut(row)).enumerate();
        rows.for_each(|(r, (y, argmax))| {
            let (n, oh) = (r / g.oh, r % g.oh);
            let mut inside = Vec::with_capacity(g.kh * g.kw);
            for ow in 0..g.ow {
                inside.clear();
                inside.extend((0..g.kh * g.kw).filter_map(|p| Some((p, g.pixel([oh, ow], p)?))));
                for c in 0..g.c {
                    let value = |at: usize| x.floats()[(n * g.h * g.w + inside[at].1) * g.c + c];
                    let best = (1..inside.len()).fold(0, |best, at| if value(at) > value(best) { at } else { best });
                    y[ow * g.c + c] = value(best);
                    argmax[ow * g.c + c] = inside[best].0 as u32;
                }
            }
        });
    }
}

impl Reference for MaxPool2d {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.pool(&x[0], y);
    }
}

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        let g = self.geometry(axes(x)?)?;
        Ok(vec![TensorInfo::floats("max_pool2d", g.y()), TensorInfo::words("argmax", g.y())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        let [_, h, w, _] = axes(graph.info(at.x[0])).map_err(Error::input)?;
        let op = MaxPool2dDx { pool: *self, input: [h, w] };
        Ok(vec![Some(graph.apply(op, &[dy, at.y[1]])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let g = self.geometry(cx.axes(cx.x[0])?).map_err(Error::input)?;
        if let Some(blocks) = whole(&g) {
            let count = g.n * blocks;
            let launch =
                cx.kernel(MAX_POOL2D_WHOLE, &[])?.sizes(&g.sizes()).size("blocks", blocks).size("count", count);
            return cx.groups(launch.bind("x", cx.x[0]).bind("y", cx.y[0]).bind("argmax", cx.y[1]), count);
        }
        let count = cx.elements(cx.y[0]);
        let launch = cx.kernel(MAX_POOL2D, &[])?.sizes(&g.sizes()).size("count", count);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]).bind("argmax", cx.y[1]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |size, stride, x| Case::new(MaxPool2d(Windows::new(size, stride))).integers(x, 3);
    let plain = vec![
        case([2, 2], [2, 2], [2, 7, 6, 5]),
        case([3, 3], [2, 2], [1, 9, 8, 3]),
        case([2, 3], [1, 2], [2, 5, 7, 4]),
        case([3, 3], [4, 5], [1, 11, 13, 1]),
        case([1, 1], [1, 1], [1, 1, 1, 1]),
        case([2, 2], [2, 2], [3, 26, 26, 32]),
        case([8, 8], [1, 1], [3, 8, 8, 11]),
        case([40, 33], [1, 2], [2, 41, 34, 9]),
    ];
    // Below 0, too, where zeros in the padding would be the largest.
    let below = |(windows, x): (Windows, [usize; 4])| {
        let negative = (0..x.iter().product::<usize>()).map(|i| -1.0 - (i * 7 % 11) as f32).collect();
        [Case::new(MaxPool2d(windows)).integers(x, 3), Case::new(MaxPool2d(windows)).floats(x, negative)]
    };
    plain.into_iter().chain(awkward().into_iter().flat_map(below)).collect()
}
