//! Average pooling.

use crate::ops::conv::geometry::{Geometry, Padding};
use crate::ops::pool::avg_pool2d_dx::AvgPool2dDx;
use crate::ops::pool::max_pool2d::whole;
use crate::ops::prelude::*;

kernels! {
    AVG_POOL2D = "pool/avg_pool2d",
    AVG_POOL2D_WHOLE = "pool/avg_pool2d_whole",
}

/// `y[n, oh, ow, c]` is the mean of x in a window. x [N, H, W, C]; y [N, OH, OW, C].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool2d {
    /// Height and width of the window.
    pub size: [usize; 2],
    /// Steps from one window to the next.
    pub stride: [usize; 2],
}

impl AvgPool2d {
    /// The sizes for x [N, H, W, C].
    pub fn geometry(&self, x: [usize; 4]) -> Result<Geometry, String> {
        Geometry::new(x, self.size, x[3], self.stride, Padding::Valid)
    }
}

impl Reference for AvgPool2d {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let g = checked(self.geometry(x[0].axes()));
        let (x, area) = (x[0].floats(), F::of((g.kh * g.kw) as f64));
        y[0].floats().par_chunks_mut(g.ow * g.c).enumerate().for_each(|(r, y)| {
            let (n, oh) = (r / g.oh, r % g.oh);
            for (ow, y) in y.chunks_mut(g.c).enumerate() {
                let mut runs = sums::Runs::<F>::new(g.c);
                for p in 0..g.kh * g.kw {
                    let pixel = (n * g.h + oh * g.sh + p / g.kw) * g.w + ow * g.sw + p % g.kw;
                    runs.before(1);
                    runs.now.iter_mut().zip(&x[pixel * g.c..][..g.c]).for_each(|(sum, x)| *sum += *x);
                }
                y.iter_mut().zip(runs.finish()).for_each(|(y, sum)| *y = sum / area);
            }
        });
    }
}

impl Op for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        Ok(vec![TensorInfo::floats("avg_pool2d", self.geometry(axes(x)?)?.y())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        let [_, h, w, _] = axes(graph.info(at.x[0])).map_err(Error::input)?;
        Ok(vec![Some(graph.apply(AvgPool2dDx { pool: *self, input: [h, w] }, &[dy])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let g = self.geometry(cx.axes(cx.x[0])?).map_err(Error::input)?;
        if let Some(blocks) = whole(&g) {
            let count = g.n * blocks;
            let launch =
                cx.kernel(AVG_POOL2D_WHOLE, &[])?.sizes(&g.sizes()).size("blocks", blocks).size("count", count);
            return cx.groups(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count);
        }
        let count = cx.elements(cx.y[0]);
        let launch = cx.kernel(AVG_POOL2D, &[])?.sizes(&g.sizes()).size("count", count);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count)
    }

    /// The division is good to 2.5 ULP, five units.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        let [height, width] = self.size;
        Rounding { terms: sums::terms(height * width).max(height + width), ulps: 5.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |size, stride, x| Case::new(AvgPool2d { size, stride }).random(x);
    vec![
        case([2, 2], [2, 2], [2, 7, 6, 5]),
        case([3, 3], [2, 2], [1, 9, 8, 3]),
        case([2, 3], [1, 2], [2, 5, 7, 4]),
        case([3, 3], [4, 5], [1, 11, 13, 1]),
        case([1, 1], [1, 1], [1, 1, 1, 1]),
        case([2, 2], [2, 2], [3, 26, 26, 32]),
        case([7, 9], [1, 1], [3, 7, 9, 11]),
        case([40, 33], [1, 2], [2, 41, 34, 9]),
        case([61, 47], [1, 1], [2, 61, 47, 17]),
        Case::new(AvgPool2d { size: [600, 901], stride: [1, 1] }).floats([1, 600, 901, 2], vec![0.1; 1_081_200]),
    ]
}
