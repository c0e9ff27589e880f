//! The logarithm of the sum of a row's exponentials: what softmax takes off each logit.

use crate::ops::prelude::*;

kernels! {
    LOG_SUM_EXP = "loss/log_sum_exp",
}

/// `y[b] = ln Σ exp(x[b, c])` over c; x [batch, …, classes], y [batch, …]. Nothing flows back: the gradient of a loss begins at
/// the loss itself.
#[derive(Clone, Copy, Debug)]
pub struct LogSumExp;

impl Reference for LogSumExp {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (x, y) = (x[0].floats(), y[0].floats());
        let classes = x.len() / y.len();
        y.par_iter_mut().zip(x.par_chunks(classes)).for_each(|(y, x)| {
            let most = x.iter().copied().fold(x[0], |most, x| if x > most { x } else { most });
            let sum = x.iter().fold(F::of(0.0), |sum, x| sum + (*x - most).exp());
            *y = most + sum.ln();
        });
    }
}

impl Op for LogSumExp {
    fn name(&self) -> &'static str {
        "log_sum_exp"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [x] = arguments(x)?;
        match x.shape.0.split_last() {
            Some((_, rows)) if !rows.is_empty() && x.elements() > 0 => {
                Ok(vec![TensorInfo::floats("log_sum_exp", Shape(rows.to_vec()))])
            }
            _ => Err(format!("{} of {}, expected [batch, …, classes], none of them 0", x.name, x.shape)),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let batch = cx.elements(cx.y[0]);
        let classes = cx.elements(cx.x[0]) / batch;
        let launch = cx.kernel(LOG_SUM_EXP, &[])?.size("batch", batch).size("classes", classes);
        cx.invocations(launch.bind("x", cx.x[0]).bind("y", cx.y[0]), batch)
    }

    /// As in softmax cross-entropy: exp is good to 3 + 2|x| ULP with |x|·eˣ below 0.37 here, log to 2⁻²¹ = 8 u near one.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        Rounding { terms: x[0].shape.0.last().copied().unwrap_or(1), ulps: 20.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let (x, y) = (x[0].floats(), y[0].floats());
        let classes = x.len() / y.len();
        for (y, x) in y.iter_mut().zip(x.chunks(classes)) {
            *y = x.iter().fold(1.0f64, |most, x| most.max(x.abs())) + (classes as f64).ln();
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let shapes = [vec![1, 1], vec![67, 10], vec![2, 3, 5, 21], vec![1, 2, 129, 3]];
    let large = Case::new(LogSumExp).floats([2, 3], vec![1e4, -1e4, 9_999.0, -3e4, -3e4, -3e4]);
    shapes.into_iter().map(|shape| Case::new(LogSumExp).random(Shape(shape))).chain([large]).collect()
}
