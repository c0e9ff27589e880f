//! The gradient of average pooling: each window's goes to its places in equal shares.

use crate::ops::pool::avg_pool2d::AvgPool2d;
use crate::ops::pool::windows::{Windows, area, awkward, set_area};
use crate::ops::prelude::*;

kernels! {
    AVG_POOL2D_DX = "pool/avg_pool2d_dx",
}

/// dx [N, H, W, C] sums dy / area over the windows that hold a place. The argument is dy [N, OH, OW, C].
#[derive(Clone, Copy, Debug)]
pub struct AvgPool2dDx {
    /// The pool.
    pub pool: AvgPool2d,
    /// Height and width of its input.
    pub input: [usize; 2],
}

impl Reference for AvgPool2dDx {
    fn reference<F: Real>(&self, x: &[In<F>], dx: &mut [Out<F>]) {
        let c = x[0].shape.last().copied().unwrap_or(1);
        let one = checked(self.pool.geometry([1, self.input[0], self.input[1], c]));
        let (places, counted) = (one.oh * one.ow, self.pool.counted(&one));
        let images = dx[0].floats().par_chunks_mut(one.h * one.w * c).zip(x[0].floats().par_chunks(places * c));
        images.for_each(|(dx, dy)| {
            dx.fill(F::of(0.0));
            for (place, dy) in dy.chunks(c).enumerate() {
                let at = [place / one.ow, place % one.ow];
                let area = F::of(area(&one, counted, at) as f64);
                for p in 0..one.kh * one.kw {
                    let Some(pixel) = one.pixel(at, p) else { continue };
                    dx[pixel * c..][..c].iter_mut().zip(dy).for_each(|(dx, dy)| *dx += *dy / area);
                }
            }
        });
    }
}

impl Op for AvgPool2dDx {
    fn name(&self) -> &'static str {
        "avg_pool2d_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy] = arguments(x)?;
        // A gradient that comes through a reshape has its sizes: N and C are what is wanted of them.
        let (n, c) = match dy.shape.0[..] {
            [n, .., c] if n > 0 && c > 0 => (n, c),
            _ => return Err(format!("dy [N, OH, OW, C] is expected, not {}", dy.shape)),
        };
        let g = self.pool.geometry([n, self.input[0], self.input[1], c])?;
        if dy.elements() != g.places() * c {
            return Err(format!("dy of {:?} is expected", g.y()));
        }
        Ok(vec![TensorInfo::floats("avg_pool2d_dx", g.x())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let g = self.pool.geometry(cx.axes(cx.y[0])?).map_err(Error::input)?;
        let count = cx.elements(cx.y[0]);
        let counted = self.pool.counted(&g);
        // Windows that are cut, or have padding that does not count, differ in their areas.
        let whole = g.kh * g.kw;
        let ends = [0, g.oh - 1].into_iter().flat_map(|oh| [0, g.ow - 1].map(|ow| [oh, ow]));
        let edges = ends.into_iter().any(|place| area(&g, counted, place) != whole);
        let launch = cx.kernel(AVG_POOL2D_DX, &[])?.sizes(&g.sizes()).size("count", count);
        let launch = set_area(launch, counted).set("edges", edges);
        cx.invocations(launch.bind("dy", cx.x[0]).bind("dx", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: self.pool.windows.size.iter().product(), ulps: 5.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |pool: AvgPool2d, x: [usize; 4]| {
        let y = pool.geometry(x).map_or([0; 4], |g| g.y());
        Case::new(AvgPool2dDx { pool, input: [x[1], x[2]] }).random(y)
    };
    let case = |size, stride, x| of(AvgPool2d::new(size, stride), x);
    let plain = vec![
        case([2, 2], [2, 2], [2, 7, 6, 5]),
        case([3, 3], [2, 2], [1, 9, 8, 3]),
        case([2, 3], [1, 2], [2, 5, 7, 4]),
        case([3, 3], [4, 5], [1, 11, 13, 1]),
        case([1, 1], [1, 1], [1, 1, 1, 1]),
        case([2, 1], [3, 2], [2, 11, 9, 8]),
        case([13, 9], [1, 1], [3, 13, 9, 11]),
    ];
    let padded = |(windows, x): (Windows, [usize; 4])| {
        [true, false].map(|count_include_pad| of(AvgPool2d { windows, count_include_pad }, x))
    };
    plain.into_iter().chain(awkward().into_iter().flat_map(padded)).collect()
}
