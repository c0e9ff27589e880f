//! `y[n, c, r] = x[n, r, c]`: `flatten` is this op, from N, H·W, C to N, C·H·W.

use crate::ops::prelude::*;

kernels! {
    TRANSPOSE = "shape/transpose",
}

/// Swaps the last two axes of x [N, rows, columns]; the result has the shape `shape`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transpose {
    /// Axes before the last two, as one.
    pub n: usize,
    /// The last axis but one of x.
    pub rows: usize,
    /// The last axis of x.
    pub columns: usize,
    /// The sizes that the result is to have.
    pub shape: Shape,
}

impl Reference for Transpose {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (x, y) = (x[0].floats(), y[0].floats());
        let each = (self.rows * self.columns).max(1);
        y.par_chunks_mut(each).zip(x.par_chunks(each)).for_each(|(y, x)| {
            for (r, x) in x.chunks(self.columns.max(1)).enumerate() {
                x.iter().enumerate().for_each(|(c, x)| y[c * self.rows + r] = *x);
            }
        });
    }
}

impl Op for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        let want = self.n * self.rows * self.columns;
        if x.elements() != want || self.shape.elements() != want {
            return Err(format!("{} elements where {want} are expected", x.elements()));
        }
        Ok(vec![TensorInfo::floats("transpose", self.shape.clone())])
    }

    fn backward(&self, graph: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        let Some(dy) = at.dy[0] else { return Ok(vec![None]) };
        let shape = graph.info(at.x[0]).shape.clone();
        let back = Transpose { n: self.n, rows: self.columns, columns: self.rows, shape };
        Ok(vec![Some(graph.apply(back, &[dy])?[0])])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        dispatch(cx, [self.n, self.rows, self.columns], cx.x[0], cx.y[0])
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

/// Swaps the last two of the axes of x [n, rows, columns] into y.
pub(in crate::ops) fn dispatch(
    cx: &mut Lower,
    [n, rows, columns]: [usize; 3],
    x: Tensor,
    y: Tensor,
) -> crate::Result<()> {
    let count = n * rows * columns;
    let launch = cx.kernel(TRANSPOSE, &[])?.sizes(&[("count", count), ("rows", rows), ("columns", columns)]);
    cx.invocations(launch.bind("x", x).bind("y", y), count)
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |[n, rows, columns]: [usize; 3]| {
        Case::new(Transpose { n, rows, columns, shape: Shape::from([n, columns, rows]) }).random([n, rows, columns])
    };
    [[1, 1, 1], [2, 3, 5], [3, 49, 8], [1, 169, 33]].map(case).into()
}
