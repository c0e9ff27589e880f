//! The class of the largest logit of each row.

use crate::ops::loss::round;
use crate::ops::prelude::*;

kernels! {
    ARGMAX = "loss/argmax",
}

/// `y[b] =` the first c of the largest `x[b, c]`; x [batch, …, classes], y [batch, …] as words.
#[derive(Clone, Copy, Debug)]
pub struct Argmax;

impl Reference for Argmax {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let y = y[0].words();
        let x = x[0].floats();
        let classes = x.len() / y.len();
        y.par_iter_mut().zip(x.par_chunks(classes)).for_each(|(y, x)| {
            *y = (1..classes).fold(0, |best, c| if x[c] > x[best] { c } else { best }) as u32;
        });
    }
}

impl Op for Argmax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        match x.shape.0.split_last() {
            Some((_, rows)) if !rows.is_empty() && x.elements() > 0 => {
                Ok(vec![TensorInfo::words("argmax", Shape(rows.to_vec()))])
            }
            _ => Err(format!("{} of {}, expected [batch, …, classes], none of them 0", x.name, x.shape)),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let batch = cx.elements(cx.y[0]);
        let classes = cx.elements(cx.x[0]) / batch;
        let launch = cx.kernel(ARGMAX, &round(classes))?.size("batch", batch).size("classes", classes);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), batch)
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let ties = Case::new(Argmax).integers([67, 5], 1);
    let shapes = [[1, 1, 1, 1], [2, 3, 5, 11], [1, 1, 129, 3], [1, 1, 2, 65_536]];
    shapes.map(|shape| Case::new(Argmax).random(shape)).into_iter().chain([ties]).collect()
}
