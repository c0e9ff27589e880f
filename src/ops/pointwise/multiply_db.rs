//! The gradient of a gate: of what has one value for each channel of a sample.

use crate::ops::norm::columns::{rows_and_channels, width};
use crate::ops::pointwise::multiply::GATED;
use crate::ops::prelude::*;

kernels! {
    MULTIPLY_DB = "pointwise/multiply_db",
}

/// `db[n, c] = Σ_p dy[n, p, c] · a[n, p, c]`. The arguments are dy and a, both [N, H, W, C]; the result is [N, C].
#[derive(Clone, Copy, Debug)]
pub struct MultiplyDb;

impl Reference for MultiplyDb {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let [_, places, channels] = rows_and_channels(x[1].shape);
        let (dy, a) = (x[0].floats(), x[1].floats());
        y[0].floats().par_chunks_mut(channels).enumerate().for_each(|(n, db)| {
            for (c, db) in db.iter_mut().enumerate() {
                let at = |p: usize| (n * places + p) * channels + c;
                *db = sums::total((0..places).map(|p| dy[at(p)] * a[at(p)]));
            }
        });
    }
}

impl Op for MultiplyDb {
    fn name(&self) -> &'static str {
        "multiply_db"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy, a] = arguments(x)?;
        let [n, _, _, c] = axes(a)?;
        match dy.shape == a.shape {
            true => Ok(vec![TensorInfo::floats("multiply_db", [n, c])]),
            false => Err("dy of a's shape is expected".into()),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [samples, places, channels] = rows_and_channels(&cx.shape(cx.x[1]));
        let (wide, count) = (width(channels), samples * channels / width(channels));
        let launch = cx.kernel(MULTIPLY_DB, &[("W", wide as i64)])?.size("count", count);
        let launch = launch.size("channels", channels).size("places", places);
        cx.invocations(launch.bind("dy", cx.x[0]).bind("a", cx.x[1]).bind("db", cx.y[0]), count)
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let [_, places, _] = rows_and_channels(&x[1].shape.0);
        Rounding { terms: sums::terms(places), ulps: 1.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let (alike, long) = ([1, 1, sums::LONG, 1], sums::LONG);
    let alike = Case::new(MultiplyDb).floats(alike, vec![0.1; long]).floats(alike, vec![1.0; long]);
    GATED.map(|a| Case::new(MultiplyDb).random(a).random(a)).into_iter().chain([alike]).collect()
}
