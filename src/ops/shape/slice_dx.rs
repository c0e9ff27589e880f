//! The gradient of a part of a tensor's last axis.

use crate::ops::prelude::*;
use crate::ops::shape::concat::last_axis;

kernels! {
    SLICE_DX = "shape/slice_dx",
}

/// `dx[r, offset..offset + columns] = dy[r, :]`, and 0 elsewhere: [.., columns] becomes [.., width].
#[derive(Clone, Copy, Debug)]
pub struct SliceDx {
    /// The first column.
    pub offset: usize,
    /// How many there are in the result.
    pub width: usize,
}

impl Reference for SliceDx {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (columns, dy) = (x[0].shape.last().copied().unwrap_or(1), x[0].floats());
        y[0].floats().par_chunks_mut(self.width).enumerate().for_each(|(row, dx)| {
            dx.fill(F::of(0.0));
            dx[self.offset..][..columns].copy_from_slice(&dy[row * columns..][..columns]);
        });
    }
}

impl Op for SliceDx {
    fn name(&self) -> &'static str {
        "slice_dx"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [dy] = arguments(x)?;
        let (columns, rows) = last_axis(dy)?;
        if self.offset + columns > self.width {
            return Err(format!("{columns} columns from {} on do not lie in {}", self.offset, self.width));
        }
        Ok(vec![TensorInfo::floats("slice_dx", Shape([rows, &[self.width]].concat()))])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (elements, columns) = (cx.elements(cx.y[0]), cx.shape(cx.x[0]).last().copied().unwrap_or(1));
        let launch = cx.kernel(SLICE_DX, &[])?.sizes(&[("elements", elements), ("width", self.width)]);
        let launch = launch.size("offset", self.offset).size("columns", columns);
        cx.invocations(launch.bind("dy", cx.x[0]).bind("dx", cx.y[0]), elements)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: &[usize], offset, width| Case::new(SliceDx { offset, width }).random(Shape(shape.to_vec()));
    vec![case(&[1, 1], 0, 1), case(&[2, 3, 5], 2, 9), case(&[3, 4], 0, 7), case(&[5, 6], 1, 7), case(&[70, 33], 60, 97)]
}
