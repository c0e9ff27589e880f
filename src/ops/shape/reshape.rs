//! Other sizes for the same elements: a view, which costs nothing.

use crate::ops::prelude::*;

kernels! {
    RESHAPE_TEXTURE = "shape/reshape_texture",
}

/// A texture with the same elements, four per texel, and the texel where they begin: what the lanes forms read many
/// times. The whole memory that a tensor shares is copied, so that one dispatch serves every parameter.
pub(in crate::ops) fn texture(cx: &mut Lower, t: Tensor) -> crate::Result<(Tensor, usize)> {
    let (t, offset) = cx.root(t);
    let copy = cx.derived(t, "texture", |cx| {
        let count = cx.elements(t).div_ceil(4);
        let copy = cx.scratch(cx.elements(t));
        let launch = cx.kernel(RESHAPE_TEXTURE, &[])?.size("count", count);
        cx.invocations(launch.bind("x", t).bind("y", copy), count)?;
        Ok(copy)
    })?;
    Ok((copy, offset / 4))
}

/// Gives x the sizes `shape`; the result is x's own memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reshape {
    /// The new sizes.
    pub shape: Shape,
}

impl Reference for Reshape {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        y[0].floats().copy_from_slice(x[0].floats());
    }
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        if x.elements() != self.shape.elements() {
            return Err(format!("{} elements do not fill {}", x.elements(), self.shape));
        }
        Ok(vec![TensorInfo::floats("reshape", self.shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        let shape = graph.info(at.x[0]).shape.clone();
        Ok(vec![Some(graph.apply(Reshape { shape }, &[dy])?[0])])
    }

    fn lower(&self, _: &mut Lower) -> crate::Result<()> {
        Ok(())
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }

    fn is_view(&self) -> bool {
        true
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    vec![Case::new(Reshape { shape: Shape::from([3, 4]) }).random([2, 6])]
}
