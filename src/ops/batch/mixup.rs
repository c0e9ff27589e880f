//! Mixup: every image of a batch blended with another one, and what the loss has to know of it.

use crate::ir::graph::Role;
use crate::ops::prelude::*;
use crate::step::augment::{CELLS, quantiles};
use crate::step::control::{Control, pcg};

kernels! {
    MIXUP = "batch/mixup",
}

/// The number that distinguishes these random numbers from others of the same key and step.
const SALT: u32 = 0x6d69_7875;

/// `y[b] = λ·x[b] + (1 - λ)·x[o]` with o = valid - 1 - b (Zhang et al., 2018); rows beyond the valid ones stay.
///
/// The arguments are the control block, x [batch, …], labels `[batch]` and [`quantiles`]; the results y [batch, …], the
/// label of o as `other [batch]`, and λ as `share [batch]`. λ belongs to a row and is the larger of a draw and 1 minus it,
/// so that an image keeps its own label's larger part; as the batch has each pair both ways round, the mean loss is that of
/// the draw itself.
#[derive(Clone, Copy, Debug)]
pub struct Mixup;

impl Mixup {
    /// 1 - λ of a row.
    fn rest<F: Real>(control: &Control, quantiles: &[F], b: usize) -> F {
        let bits = pcg(b as u32 ^ pcg(control.step ^ pcg(control.key ^ SALT)));
        let cell = (bits >> 24) as usize;
        let part = F::of(f64::from(bits & 0x00ff_ffff) / f64::from(1 << 24));
        quantiles[cell] + part * (quantiles[cell + 1] - quantiles[cell])
    }

    fn apply<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>], blend: impl Fn(F, F, F) -> F + Sync) {
        let control = Control::read(x[0].words());
        let (images, labels, quantiles) = (x[1].floats(), x[2].words(), x[3].floats());
        let (pixels, valid) = (images.len() / labels.len(), (control.valid as usize).min(labels.len()));
        let [mixed, other, share] = results(y);
        let rows = mixed.floats().par_chunks_mut(pixels).zip(other.words()).zip(share.floats()).enumerate();
        rows.for_each(|(b, ((row, other), share))| {
            let own = &images[b * pixels..][..pixels];
            if b >= valid {
                row.copy_from_slice(own);
                (*other, *share) = (0, F::of(1.0));
                return;
            }
            let (o, rest) = (valid - 1 - b, Self::rest(&control, quantiles, b));
            let partner = &images[o * pixels..][..pixels];
            row.iter_mut().zip(own).zip(partner).for_each(|((y, a), b)| *y = blend(*a, *b, rest));
            (*other, *share) = (labels[o], F::of(1.0) - rest);
        });
    }
}

impl Reference for Mixup {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        self.apply(x, y, |a, b, rest| (F::of(1.0) - rest) * a + rest * b);
    }
}

impl Op for Mixup {
    fn name(&self) -> &'static str {
        "mixup"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        let [_, images, labels, quantiles] = arguments(x)?;
        let ([batch], [table]) = (axes(labels)?, axes(quantiles)?);
        if images.shape.0.first() != Some(&batch) || images.elements() == 0 {
            return Err(format!("images {}, expected [{batch}, …], none of them 0", images.shape));
        }
        if table != CELLS + 1 {
            return Err(format!("{table} quantiles where {} are expected", CELLS + 1));
        }
        let mixed = TensorInfo::floats("mixed", images.shape.clone());
        Ok(vec![mixed, TensorInfo::words("other", [batch]), TensorInfo::floats("share", [batch])])
    }

    fn backward(&self, _: &mut Graph, at: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        match at.wants[1] {
            false => Ok(vec![None; 4]),
            true => Err(Error::input("mixup: a gradient of images is not supported")),
        }
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let (count, batch) = (cx.elements(cx.x[1]), cx.elements(cx.x[2]));
        let launch = cx.kernel(MIXUP, &[])?.size("count", count).size("batch", batch);
        let launch = launch.size("pixels", count / batch).set("salt", SALT);
        let launch = launch.bind("control", cx.x[0]).bind("x", cx.x[1]).bind("labels", cx.x[2]);
        let launch = launch.bind("quantiles", cx.x[3]).bind("y", cx.y[0]).bind("other", cx.y[1]);
        cx.invocations(launch.bind("share", cx.y[2]), count.div_ceil(4))
    }

    /// Three roundings for 1 - λ and one for λ, of which each product has one more, and one for their sum.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 0, ulps: 6.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        self.apply(x, y, |a, b, _| a.abs() + b.abs());
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let case = |shape: Vec<usize>, valid: u32, alpha: f64| {
        let control = Control { key: 7, step: 11, epoch: 3, valid, samples: 1000, ..Control::default() };
        let batch = shape[0];
        let case = Case::new(Mixup).words([Control::WORDS], control.words()).random(Shape(shape)).below([batch], 10);
        case.floats([CELLS + 1], quantiles(alpha))
    };
    let mut cases = vec![
        case(vec![128, 28, 28, 1], 128, 0.2),
        case(vec![9, 4, 2, 1], 7, 1.0),
        case(vec![7, 3, 5, 1], 4, 0.4),
        case(vec![5, 5, 7, 3], 5, 2.0),
        case(vec![1, 1], 1, 0.2),
        case(vec![7, 1], 7, 0.2),
        case(vec![11, 2], 6, 10.0),
        case(vec![6, 3], 1, 0.01),
    ];
    for case in &mut cases {
        case.x[3].0.role = Role::Data;
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::op::Elements;

    const ROWS: usize = 20_001;

    fn run(alpha: f64, valid: usize) -> (Vec<f32>, Vec<u32>, Vec<f32>) {
        let control = Control { key: 5, step: 3, valid: valid as u32, ..Control::default() }.words();
        let images: Vec<f32> = (0..ROWS).map(|b| b as f32).collect();
        let labels: Vec<u32> = (0..ROWS as u32).collect();
        let table = quantiles(alpha);
        let x = [
            In { shape: &[Control::WORDS], elements: Elements::Word(&control) },
            In { shape: &[ROWS, 1], elements: Elements::Float(&images) },
            In { shape: &[ROWS], elements: Elements::Word(&labels) },
            In { shape: &[CELLS + 1], elements: Elements::Float(&table) },
        ];
        let (mut y, mut other, mut share) = (vec![0.0; ROWS], vec![0; ROWS], vec![0.0; ROWS]);
        Mixup.fast(&x, &mut [Out::Float(&mut y), Out::Word(&mut other), Out::Float(&mut share)]);
        (y, other, share)
    }

    #[test]
    fn partners_are_the_batch_reversed_and_rows_beyond_stay() {
        let valid = 101;
        let (y, other, share) = run(0.4, valid);
        for b in 0..valid {
            assert_eq!(other[b] as usize, valid - 1 - b);
            let expected = share[b] * b as f32 + (1.0 - share[b]) * (valid - 1 - b) as f32;
            assert!((y[b] - expected).abs() <= 1e-3, "{b}");
        }
        assert!((valid..ROWS).all(|b| y[b] == b as f32 && other[b] == 0 && share[b] == 1.0));
    }

    /// The second and the fourth moment about 1/2 of Beta(a, a), which folding leaves alone, within five deviations.
    #[test]
    fn shares_are_drawn_from_the_distribution() {
        for alpha in [0.1, 0.2, 1.0, 4.0] {
            let (_, _, share) = run(alpha, ROWS);
            assert!(share.iter().all(|share| (0.5..=1.0).contains(share)));
            let moment = |power| share.iter().map(|s| (f64::from(*s) - 0.5).powi(power)).sum::<f64>() / ROWS as f64;
            let n = 2.0 * alpha;
            let second = 1.0 / (4.0 * (n + 1.0));
            let fourth = 3.0 / (16.0 * (n + 1.0) * (n + 3.0));
            let deviation = ((fourth - second * second) / ROWS as f64).sqrt();
            assert!((moment(2) - second).abs() <= 5.0 * deviation, "{alpha}: {} of {second}", moment(2));
            // The eighth moment is below the fourth's 1/16.
            let deviation = (fourth / 16.0 / ROWS as f64).sqrt();
            assert!((moment(4) - fourth).abs() <= 5.0 * deviation, "{alpha}: {} of {fourth}", moment(4));
        }
    }
}
