//! `y = a · b`, element by element, or with one b for each channel of a sample: gates.

use crate::ops::norm::columns::{rows_and_channels, width};
use crate::ops::pointwise::multiply_db::MultiplyDb;
use crate::ops::prelude::*;

kernels! {
    MULTIPLY = "pointwise/multiply",
}

/// `y[n, p, c] = a[n, p, c] · b[n, c]`. The arguments are a, and b of the same shape; or a [N, H, W, C] and b [N, C].
#[derive(Clone, Copy, Debug)]
pub struct Multiply;

/// Places of a that meet one place of b, and the channels of both: 1, and any, where the shapes are the same.
pub(super) fn places(a: &[usize], b: &[usize]) -> Result<[usize; 2], String> {
    match (a, b) {
        _ if a.contains(&0) => Err(format!("{a:?} has an axis of size 0")),
        _ if a == b => Ok([1, a.last().copied().unwrap_or(1)]),
        (&[n, h, w, c], &[m, d]) if (n, c) == (m, d) => Ok([h * w, c]),
        _ => Err(format!("found {a:?} and {b:?}, expected one shape, or [N, H, W, C] and [N, C]")),
    }
}

impl Reference for Multiply {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (a, b, y) = (x[0].floats(), x[1].floats(), y[0].floats());
        if a.len() == b.len() {
            y.par_iter_mut().zip(a.par_iter().zip(b)).for_each(|(y, (a, b))| *y = *a * *b);
            return;
        }
        let [_, places, channels] = rows_and_channels(x[0].shape);
        let samples = y.par_chunks_mut(places * channels).zip(a.par_chunks(places * channels));
        samples.zip(b.par_chunks(channels)).for_each(|((y, a), b)| {
            for (i, y) in y.iter_mut().enumerate() {
                *y = a[i] * b[i % channels];
            }
        });
    }
}

impl Op for Multiply {
    fn name(&self) -> &'static str {
        "multiply"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [a, b] = arguments(x)?;
        places(&a.shape.0, &b.shape.0)?;
        Ok(vec![TensorInfo::floats("multiply", a.shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let (a, b) = (at.x[0], at.x[1]);
        let Some(dy) = at.dy[0] else { return Ok(vec![None; 2]) };
        let da = at.wants[0].then(|| graph.apply(Multiply, &[dy, b])).transpose()?;
        let same = graph.shape(a) == graph.shape(b);
        let db = at.wants[1].then(|| match same {
            true => graph.apply(Multiply, &[dy, a]),
            false => graph.apply(MultiplyDb, &[dy, a]),
        });
        Ok(vec![da.map(|da| da[0]), db.transpose()?.map(|db| db[0])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (a, b) = (cx.shape(cx.x[0]), cx.shape(cx.x[1]));
        // Element by element the channels do not matter, and whole vectors have a place of their own.
        let (wide, [places, channels]) = match a == b {
            true => (4, [1, 4]),
            false => (width(b[1]), places(&a, &b).map_err(Error::failed)?),
        };
        let count = cx.elements(cx.y[0]).div_ceil(wide);
        let launch = cx.kernel(MULTIPLY, &[("W", wide as i64)])?.size("count", count);
        let launch = launch.size("channels", channels).size("places", places);
        cx.invocations(launch.bind("a", cx.x[0]).bind("b", cx.x[1]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 1.0 }
    }
}

/// Images whose channels come out even in fours or do not, a single place, and the features for each.
pub(super) const GATED: [[usize; 4]; 5] = [[3, 7, 6, 5], [2, 5, 3, 8], [2, 1, 1, 7], [1, 26, 26, 4], [4, 9, 1, 1]];

pub(in crate::ops) fn cases() -> Vec<Case> {
    let same = [vec![1], vec![7], vec![3, 5, 2], vec![64, 1031]];
    let same = same.map(|s| Case::new(Multiply).random(Shape(s.clone())).random(Shape(s)));
    let gated = GATED.map(|a| Case::new(Multiply).random(a).random([a[0], a[3]]));
    same.into_iter().chain(gated).collect()
}
