//! A factor for all elements, or for each channel.

use crate::ops::norm::columns;
use crate::ops::norm::columns::{per_channel, split};
use crate::ops::pointwise::add_bias_db::AddBiasDb;
use crate::ops::pointwise::multiply::Multiply;
use crate::ops::prelude::*;
use crate::ops::shape::reshape::Reshape;

kernels! {
    SCALE = "pointwise/scale",
}

/// `y[r, c] = x[r, c] · factor · s[c]`. The arguments are x [N, …, C] and, if there is one, s `[C]`.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The factor of all channels.
    pub factor: f32,
}

impl Reference for Scale {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (factor, own) = (F::of(self.factor.into()), x.get(1).map(In::floats));
        let (channels, x) = (x[0].shape.last().copied().unwrap_or(1), x[0].floats());
        columns::fill(y[0].floats(), channels, |r, c| {
            let scaled = x[r * channels + c] * factor;
            own.map_or(scaled, |own| scaled * own[c])
        });
    }
}

impl Op for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let (x, own) = match *x {
            [x] => (x, None),
            [x, own] => (x, Some(own)),
            _ => return Err(format!("found {} arguments, expected one or two", x.len())),
        };
        let [_, _, c] = split(x)?;
        own.map_or(Ok(()), |own| per_channel(c, &[own]))?;
        Ok(vec![TensorInfo::floats("scale", x.shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None; at.x.len()]) };
        let shape = graph.info(at.x[0]).shape.clone();
        let dy = if graph.info(dy).shape == shape { dy } else { graph.apply(Reshape { shape }, &[dy])?[0] };
        let mut grads = vec![None; at.x.len()];
        if at.wants[0] {
            grads[0] = Some(graph.apply(*self, &[&[dy], &at.x[1..]].concat())?[0]);
        }
        if at.wants.get(1) == Some(&true) {
            let each = graph.apply(Multiply, &[dy, at.x[0]])?[0];
            let each = if self.factor == 1.0 { each } else { graph.apply(*self, &[each])?[0] };
            grads[1] = Some(graph.apply(AddBiasDb, &[each])?[0]);
        }
        Ok(grads)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (own, channels) = (cx.x.get(1).copied(), cx.shape(cx.x[0]).last().copied().unwrap_or(1));
        let count = cx.elements(cx.y[0]).div_ceil(4);
        let launch = cx.kernel(SCALE, &[])?.size("count", count).size("channels", channels);
        let launch = launch.set("factor", self.factor).set("each", own.is_some());
        // Where there is none the kernel does not read it, and any float buffer will do.
        let launch = launch.bind("own", own.unwrap_or(cx.x[0]));
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 2.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let shapes = [vec![1, 1], vec![3, 7], vec![2, 5, 3, 4], vec![3, 2, 7, 5], vec![1, 64, 31, 33]];
    let case = |shape: Vec<usize>| {
        let c = shape.last().copied().unwrap_or(1);
        let of = |factor| Case::new(Scale { factor }).random(Shape(shape.clone()));
        [of(0.125), of(1.0).random([c]), of(-1.7).random([c])]
    };
    shapes.into_iter().flat_map(case).collect()
}
