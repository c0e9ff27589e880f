//! `y[r, c] = s[r] · x[r, c]`: the gradient of a loss that more follows after.

use crate::ops::prelude::*;

kernels! {
    SCALE_ROWS = "loss/scale_rows",
}

/// `y[r, c] = s[r] · x[r, c]`; x [rows, columns], s `[rows]`, where rows may be several axes.
#[derive(Clone, Copy, Debug)]
pub struct ScaleRows;

impl Reference for ScaleRows {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (x, s) = (x[0].floats(), x[1].floats());
        let columns = x.len() / s.len();
        for (i, y) in y[0].floats().iter_mut().enumerate() {
            *y = s[i / columns] * x[i];
        }
    }
}

impl Op for ScaleRows {
    fn name(&self) -> &'static str {
        "scale_rows"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x, s] = arguments(x)?;
        let columns = x.shape.0.last().copied().unwrap_or(0);
        if columns == 0 || x.elements() != columns * s.elements() || x.elements() == 0 {
            return Err(format!("{} rows of {columns} but {} factors", x.elements() / columns.max(1), s.elements()));
        }
        Ok(vec![TensorInfo::floats("scale_rows", x.shape.clone())])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = cx.elements(cx.y[0]);
        let columns = count / cx.elements(cx.x[1]);
        let launch = cx.kernel(SCALE_ROWS, &[])?.size("count", count).size("columns", columns);
        cx.invocations(launch.bind("x", cx.x[0]).bind("s", cx.x[1]).bind("y", cx.y[0]), count)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 1.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let images = Case::new(ScaleRows).random([2, 3, 5, 7]).random([2, 3, 5]);
    [[1, 1], [7, 3], [130, 11]]
        .map(|s| Case::new(ScaleRows).random(s).random([s[0]]))
        .into_iter()
        .chain([images])
        .collect()
}
