//! A number for each channel added to every row, and the activation that follows: the bias of a transposed convolution.

use crate::ops::norm::columns;
use crate::ops::norm::columns::{per_channel, split};
use crate::ops::pointwise::add_bias_db::AddBiasDb;
use crate::ops::pointwise::then::{Then, every};
use crate::ops::prelude::*;

kernels! {
    ADD_BIAS = "pointwise/add_bias",
}

/// `y[r, c] = x[r, c] + b[c]`, and then an activation. The arguments are x [N, …, C] and b `[C]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AddBias {
    /// The activation that follows.
    pub then: Then,
}

impl Reference for AddBias {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (x, b) = (x[0].floats(), x[1].floats());
        columns::fill(y[0].floats(), b.len(), |r, c| self.then.value(x[r * b.len() + c] + b[c]));
    }
}

impl Op for AddBias {
    fn name(&self) -> &'static str {
        "add_bias"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x, b] = arguments(x)?;
        let [_, _, c] = split(x)?;
        per_channel(c, &[b])?;
        Ok(vec![TensorInfo::floats("add_bias", x.shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None; 2]) };
        let dy = self.then.backward(graph, dy, at.y[0])?;
        let db = match at.wants[1] {
            true => Some(graph.apply(AddBiasDb, &[dy])?[0]),
            false => None,
        };
        Ok(vec![Some(dy), db])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (count, channels) = (cx.elements(cx.y[0]).div_ceil(4), cx.elements(cx.x[1]));
        let launch = self.then.set(cx.kernel(ADD_BIAS, &[])?).size("count", count).size("channels", channels);
        cx.invocations(launch.bind("x", cx.x[0]).bind("bias", cx.x[1]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: self.then.ulps() }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let plain = AddBias::default();
        run_on_magnitudes(&plain, x, y);
        self.then.magnitude(&plain, x, y);
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let shapes = [vec![1, 1], vec![3, 7], vec![2, 5, 3, 4], vec![3, 2, 7, 5], vec![1, 64, 31, 33]];
    let case = |shape: Vec<usize>| {
        let c = shape.last().copied().unwrap_or(1);
        let of = |then| Case::new(AddBias { then }).random(Shape(shape.clone())).random([c]);
        every().take(if c < 33 { usize::MAX } else { 2 }).map(of).collect::<Vec<_>>()
    };
    shapes.into_iter().flat_map(case).collect()
}
