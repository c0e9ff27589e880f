//! Part of a tensor's last axis, as the gradient of each side of a concatenation is.

use crate::ops::prelude::*;
use crate::ops::shape::concat::last_axis;
use crate::ops::shape::slice_dx::SliceDx;

kernels! {
    SLICE = "shape/slice",
}

/// `y[r, :] = x[r, offset..offset + columns]`: [.., width] becomes [.., columns].
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// The first column.
    pub offset: usize,
    /// How many columns.
    pub columns: usize,
}

impl Reference for Slice {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (width, x) = (x[0].shape.last().copied().unwrap_or(1), x[0].floats());
        y[0].floats().par_chunks_mut(self.columns).enumerate().for_each(|(row, y)| {
            y.copy_from_slice(&x[row * width + self.offset..][..self.columns]);
        });
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        let (width, rows) = last_axis(x)?;
        if self.columns == 0 || self.offset + self.columns > width {
            return Err(format!("{} columns from {} on do not lie in {width}", self.columns, self.offset));
        }
        Ok(vec![TensorInfo::floats("slice", Shape([rows, &[self.columns]].concat()))])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        let width = graph.shape(at.x[0]).last().copied().unwrap_or(1);
        Ok(vec![Some(graph.apply(SliceDx { offset: self.offset, width }, &[dy])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (elements, width) = (cx.elements(cx.y[0]), cx.shape(cx.x[0]).last().copied().unwrap_or(1));
        let launch = cx.kernel(SLICE, &[])?.sizes(&[("elements", elements), ("width", width)]);
        let launch = launch.size("offset", self.offset).size("columns", self.columns);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), elements.div_ceil(4))
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: &[usize], offset, columns| Case::new(Slice { offset, columns }).random(Shape(shape.to_vec()));
    vec![
        case(&[1, 1], 0, 1),
        case(&[3, 5, 2, 7], 3, 4),
        case(&[2, 7, 5, 24], 8, 16),
        case(&[7, 32], 31, 1),
        case(&[67, 3, 7], 0, 5),
        case(&[5_592_407, 4], 1, 3),
    ]
}
