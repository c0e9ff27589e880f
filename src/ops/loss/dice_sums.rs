//! The terms of the Dice loss of a sample: the sums of each class's probabilities and labels, and of both at once.

use crate::ir::element::IGNORED;
use crate::ops::prelude::*;

kernels! {
    DICE_SUMS = "loss/dice_sums",
}

/// The arguments are logits [batch, …, classes], labels [batch, …] and the logarithm of the sum of each row's exponentials, [batch,
/// …]; the result is [batch, 3, classes]: of each sample and class the sum of the probabilities of the rows that are of it, of all
/// rows, and the number of rows that are of it. Rows whose label is [`IGNORED`] are left out.
#[derive(Clone, Copy, Debug)]
pub struct DiceSums;

impl Reference for DiceSums {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let (logits, labels, whole, sums) = (x[0].floats(), x[1].words(), x[2].floats(), y[0].floats());
        let (classes, places) = (logits.len() / labels.len(), labels.len() / x[0].shape[0]);
        sums.par_chunks_mut(3 * classes).enumerate().for_each(|(b, sums)| {
            // In double precision: a sequential sum of that many terms would lose the last of them.
            let mut exact = vec![0.0f64; 3 * classes];
            for r in (b * places..(b + 1) * places).filter(|r| labels[*r] != IGNORED) {
                let k = labels[r] as usize;
                for (c, logit) in logits[r * classes..][..classes].iter().enumerate() {
                    let p = (*logit - whole[r]).exp().f64();
                    exact[classes + c] += p;
                    if c == k {
                        exact[c] += p;
                        exact[2 * classes + c] += 1.0;
                    }
                }
            }
            sums.iter_mut().zip(exact).for_each(|(sum, exact)| *sum = F::of(exact));
        });
    }
}

impl Op for DiceSums {
    fn name(&self) -> &'static str {
        "dice_sums"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [logits, labels, whole] = arguments(x)?;
        match logits.shape.0[..] {
            [batch, .., classes] if logits.elements() > 0 && logits.shape.0.len() > 1 => {
                let rows = logits.elements() / classes;
                if labels.elements() != rows || whole.elements() != rows {
                    return Err(format!(
                        "{rows} rows of logits but {} labels and {} sums",
                        labels.elements(),
                        whole.elements()
                    ));
                }
                Ok(vec![TensorInfo::floats("dice sums", [batch, 3, classes])])
            }
            _ => Err(format!("logits {}, expected [batch, …, classes], none of them 0", logits.shape)),
        }
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let [batch, _, classes] = [0, 1, 2].map(|axis| cx.shape(cx.y[0])[axis]);
        let places = cx.elements(cx.x[1]) / batch;
        let launch = cx.kernel(DICE_SUMS, &[])?.sizes(&[("batch", batch), ("places", places), ("classes", classes)]);
        let launch = launch.bind("logits", cx.x[0]).bind("labels", cx.x[1]).bind("whole", cx.x[2]);
        cx.groups(launch.bind("sums", cx.y[0]), batch * classes)
    }

    /// The sums of 256 invocations and of these; exp is good to 3 + 2|x| ULP.
    fn rounding(&self, x: &[&TensorInfo]) -> Rounding {
        let batch = x[0].shape.0.first().copied().unwrap_or(1).max(1);
        Rounding { terms: (x[1].elements() / batch).div_ceil(256) + 8, ulps: 10.0 }
    }

    /// The exponent is a difference, whose rounding an exponential multiplies.
    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let (logits, labels, whole) = (x[0].floats(), x[1].words(), x[2].floats());
        let classes = logits.len() / labels.len();
        // The same sums of p·(1 + |x| + |whole|): its logarithm takes the place of the exponent.
        let size = |(at, x): (usize, &f64)| {
            let whole = whole[at / classes];
            x - whole + (1.0 + x.abs() + whole.abs()).ln()
        };
        let sized: Vec<f64> = logits.iter().enumerate().map(size).collect();
        let none = vec![0.0; whole.len()];
        let [sized, none] = [&sized, &none].map(|values| crate::ir::op::Elements::Float(values));
        let x = [In { shape: x[0].shape, elements: sized }, x[1], In { shape: x[2].shape, elements: none }];
        self.reference(&x, y);
    }
}

/// Logits, labels and the logarithm of the sum of exponentials of [batch, …, classes]; every third label is ignored where
/// `ignored`.
pub(super) fn given(case: Case, shape: &[usize], scale: f32, ignored: bool) -> Case {
    let (classes, rows) = (shape[shape.len() - 1], Shape(shape[..shape.len() - 1].to_vec()));
    let count = rows.elements();
    let logit = |at: usize| ((at * 2_654_435_761 % 1_000_003) as f32 / 500_001.5 - 1.0) * scale;
    let logits: Vec<f32> = (0..count * classes).map(logit).collect();
    let whole = logits.chunks(classes).map(|row| {
        let most = row.iter().fold(f32::MIN, |most, x| most.max(*x));
        most + row.iter().map(|x| (x - most).exp()).sum::<f32>().ln()
    });
    let whole = whole.collect();
    // The last class is not there.
    let label = |r: usize| if ignored && r.is_multiple_of(3) { IGNORED } else { (r * r % (classes - 1).max(1)) as u32 };
    let labels = (0..count).map(label).collect();
    case.floats(Shape(shape.to_vec()), logits).words(rows.clone(), labels).floats(rows, whole)
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: &[usize], scale: f32, ignored: bool| given(Case::new(DiceSums), shape, scale, ignored);
    vec![
        case(&[1, 1, 1], 1.0, false),
        case(&[3, 5, 7, 4], 3.0, true),
        case(&[2, 64, 65, 3], 6.0, false),
        case(&[1, 300, 2], 1e3, true),
        case(&[5, 1, 1, 21], 4.0, false),
    ]
}
