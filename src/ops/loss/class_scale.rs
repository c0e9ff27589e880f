//! The weights of classes in a batch's mean loss: each over the sum of the weights of the batch's labels.

use crate::ir::element::IGNORED;
use crate::ops::prelude::*;
use crate::step::control::Control;

kernels! {
    CLASS_SCALE = "loss/class_scale",
}

/// Labels that an invocation adds one by one before it adds their sum.
const PART: usize = 32;

/// `scale[c] = weights[c] / Σ weights[labels]` over the rows of the valid samples whose label is not ignored, zero where
/// that sum is zero: a sum of losses by these is PyTorch's weighted mean; with weights of 1, the mean over valid targets.
/// The second result, `[2]`, is the sum and the number of its terms. The arguments are the control block, labels [batch, …] and weights `[classes]`,
/// none of them below zero.
#[derive(Clone, Copy, Debug)]
pub struct ClassScale;

impl Reference for ClassScale {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (labels, weights) = (x[1].words(), x[2].floats());
        let rows = Control::read(x[0].words()).valid as usize * (labels.len() / x[1].shape[0]);
        // Labels are counted as integers: a sequential sum of that many floats would lose the last of them.
        let mut counts = vec![0u32; weights.len()];
        labels.iter().take(rows).filter(|label| **label != IGNORED).for_each(|label| counts[*label as usize] += 1);
        let terms = counts.iter().zip(weights).map(|(count, weight)| F::of(f64::from(*count)) * *weight);
        let sum = terms.fold(F::of(0.0), |sum, term| sum + term);
        let [scale, total] = results(y);
        total.floats()[0] = sum;
        total.floats()[1] = F::of(counts.iter().map(|count| f64::from(*count)).sum());
        for (scale, weight) in scale.floats().iter_mut().zip(weights) {
            *scale = if sum > F::of(0.0) { *weight / sum } else { F::of(0.0) };
        }
    }
}

impl Op for ClassScale {
    fn name(&self) -> &'static str {
        "class_scale"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, labels, weights] = arguments(x)?;
        let [classes] = axes(weights)?;
        if labels.elements() == 0 {
            return Err("labels are expected".into());
        }
        Ok(vec![TensorInfo::floats("class scale", [classes]), TensorInfo::floats("batch weight", [2])])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        Ok(vec![None; 3])
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let rows = cx.elements(cx.x[1]);
        let places = rows / cx.shape(cx.x[1])[0];
        let launch = cx.kernel(CLASS_SCALE, &[])?.size("batch", rows).size("places", places);
        let launch = launch.size("classes", cx.elements(cx.y[0])).size("part", PART);
        let launch = launch.bind("control", cx.x[0]).bind("labels", cx.x[1]).bind("weights", cx.x[2]);
        cx.groups(launch.bind("scale", cx.y[0]).bind("total", cx.y[1]), 1)
    }

    /// The sum's rounding is relative, since no term is below zero: of the kernel's parts, their sum and that of 256
    /// invocations, or of a term for each class. Then a division.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let (rows, classes) = (x[1].elements(), x[2].elements());
        let terms = PART + rows.div_ceil(256 * PART) + 256usize.ilog2() as usize;
        Rounding { terms: terms.max(classes), ulps: 6.0 }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: &[usize], classes: usize, valid: u32, zero: bool| {
        let control = Control { valid, samples: 1000, ..Control::default() };
        let weight = |c: usize| if zero { 0.0 } else { [0.3, 2.0, 0.0, 1.25][c % 4] };
        let case = Case::new(ClassScale).words([Control::WORDS], control.words());
        case.below(Shape(shape.to_vec()), classes as u32).floats([classes], (0..classes).map(weight).collect())
    };
    vec![
        case(&[1], 1, 1, false),
        case(&[130], 10, 97, false),
        case(&[3, 17, 19], 11, 2, false),
        case(&[5], 300, 5, false),
        // So long that one sum after the other would be off by more than this tolerance.
        case(&[2, 700, 700], 3, 2, false),
        case(&[7], 3, 7, true),
        Case::new(ClassScale)
            .words([Control::WORDS], Control { valid: 5, samples: 5, ..Control::default() }.words())
            .words([6], vec![2, IGNORED, 0, IGNORED, 2, 1])
            .floats([3], vec![1.0, 1.5, 0.25]),
    ]
}
