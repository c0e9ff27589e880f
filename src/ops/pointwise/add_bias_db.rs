//! The gradient of a bias: the sum of each column.

use crate::ops::norm::columns;
use crate::ops::norm::columns::{Chunks, rows_and_channels, split};
use crate::ops::prelude::*;

kernels! {
    ADD_BIAS_DB_PARTIAL = "pointwise/add_bias_db_partial",
    ADD_BIAS_DB = "pointwise/add_bias_db",
}

/// `db[c] = Σ dy[r, c]`; the argument is dy [N, H, W, C] or [N, C].
#[derive(Clone, Copy, Debug)]
pub struct AddBiasDb;

impl Reference for AddBiasDb {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let ([n, places, channels], dy) = (rows_and_channels(x[0].shape), x[0].floats());
        y[0].floats().copy_from_slice(&columns::sums(n * places, channels, |r, c| dy[r * channels + c]));
    }
}

impl Op for AddBiasDb {
    fn name(&self) -> &'static str {
        "add_bias_db"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy] = arguments(x)?;
        let [_, _, c] = split(dy)?;
        Ok(vec![TensorInfo::floats("add_bias_db", [c])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [n, places, channels] = rows_and_channels(&cx.shape(cx.x[0]));
        let chunks = Chunks::of(n * places, channels);
        let partials = cx.scratch(chunks.chunks * channels);
        let launch = cx.kernel(ADD_BIAS_DB_PARTIAL, &[])?.sizes(&chunks.sizes()).size("rows", n * places);
        let launch = launch.size("channels", channels).bind("dy", cx.x[0]).bind("partials", partials);
        cx.groups(launch, chunks.groups())?;
        let launch = cx.kernel(ADD_BIAS_DB, &[])?.size("chunks", chunks.chunks).size("channels", channels);
        cx.invocations(launch.bind("partials", partials).bind("db", cx.y[0]), channels)
    }

    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let [n, places, _] = rows_and_channels(&x[0].shape.0);
        Rounding { terms: sums::terms(n * places), ulps: 1.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let shapes = [vec![1, 1], vec![7, 3], vec![2, 13, 11, 5], vec![3, 26, 26, 33], vec![1, 128, 64, 8]];
    let alike = Case::new(AddBiasDb).floats([sums::LONG, 3], vec![0.1; 3 * sums::LONG]);
    shapes.map(|shape| Case::new(AddBiasDb).random(Shape(shape))).into_iter().chain([alike]).collect()
}
