//! Average pooling.

use crate::ops::conv::geometry::Geometry;
use crate::ops::pool::avg_pool2d_dx::AvgPool2dDx;
use crate::ops::pool::max_pool2d::whole;
use crate::ops::pool::windows::{Windows, area, awkward, set_area};
use crate::ops::prelude::*;

kernels! {
    AVG_POOL2D = "pool/avg_pool2d",
    AVG_POOL2D_WHOLE = "pool/avg_pool2d_whole",
}

/// `y[n, oh, ow, c]` is the sum of x in a window, divided by its area. x [N, H, W, C]; y [N, OH, OW, C].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool2d {
    /// Its windows.
    pub windows: Windows,
    /// Whether the area is that of the window within the image and its padding, as PyTorch has it by default, or within the
    /// image alone.
    pub count_include_pad: bool,
}

impl AvgPool2d {
    /// Windows inside the image.
    pub fn new(size: [usize; 2], stride: [usize; 2]) -> AvgPool2d {
        AvgPool2d { windows: Windows::new(size, stride), count_include_pad: true }
    }

    /// The sizes for x [N, H, W, C].
    pub fn geometry(&self, x: [usize; 4]) -> Result<Geometry, String> {
        self.windows.geometry(x)
    }

    /// The places that count in areas.
    pub(in crate::ops) fn counted(&self, g: &Geometry) -> [[usize; 2]; 2] {
        self.windows.counted(g, self.count_include_pad)
    }
}

impl Reference for AvgPool2d {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let g = checked(self.geometry(x[0].axes()));
        let (x, counted) = (x[0].floats(), self.counted(&g));
        y[0].floats().par_chunks_mut(g.ow * g.c).enumerate().for_each(|(r, y)| {
            let (n, oh) = (r / g.oh, r % g.oh);
            for (ow, y) in y.chunks_mut(g.c).enumerate() {
                let mut runs = sums::Runs::<F>::new(g.c);
                for p in 0..g.kh * g.kw {
                    let Some(pixel) = g.pixel([oh, ow], p) else { continue };
                    runs.before(1);
                    let pixel = &x[(n * g.h * g.w + pixel) * g.c..][..g.c];
                    runs.now.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += *x);
                }
                let area = F::of(area(&g, counted, [oh, ow]) as f64);
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
        let launch = set_area(launch, self.counted(&g));
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count)
    }

    /// The division is good to 2.5 ULP, five units.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        let [height, width] = self.windows.size;
        Rounding { terms: sums::terms(height * width).max(height + width), ulps: 5.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |size, stride, x| Case::new(AvgPool2d::new(size, stride)).random(x);
    let plain = vec![
        case([2, 2], [2, 2], [2, 7, 6, 5]),
        case([3, 3], [2, 2], [1, 9, 8, 3]),
        case([2, 3], [1, 2], [2, 5, 7, 4]),
        case([3, 3], [4, 5], [1, 11, 13, 1]),
        case([1, 1], [1, 1], [1, 1, 1, 1]),
        case([2, 2], [2, 2], [3, 26, 26, 32]),
        case([7, 9], [1, 1], [3, 7, 9, 11]),
        case([40, 33], [1, 2], [2, 41, 34, 9]),
        case([61, 47], [1, 1], [2, 61, 47, 17]),
        Case::new(AvgPool2d::new([600, 901], [1, 1])).floats([1, 600, 901, 2], vec![0.1; 1_081_200]),
    ];
    let padded = |(windows, x): (Windows, [usize; 4])| {
        [true, false].map(|count_include_pad| Case::new(AvgPool2d { windows, count_include_pad }).random(x))
    };
    plain.into_iter().chain(awkward().into_iter().flat_map(padded)).collect()
}
