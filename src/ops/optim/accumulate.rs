//! The gradients of several batches made one: the mean over the samples of all of them.

use crate::ops::optim::{PIECE, faults};
use crate::ops::prelude::*;
use crate::step::control::Control;
use crate::step::nonfinite;

kernels! {
    ACCUMULATE = "optim/accumulate",
    ACCUMULATE_WEIGHTED = "optim/accumulate_weighted",
}

/// The argument is the control block and, where losses are `weighted`, the sum of the batch's weights `[1]`; updated in place are the sum and the gradients, both `[n]`, the control block of the
/// update and the fault `[1]`, which gains [`nonfinite::GRADIENT`]. A group is `every` batches of an epoch, its last
/// what is left of it. In the last batch of a group the gradients become the mean over its samples, each by its weight where
/// they have weights (zero where these sum to zero); the control block of the update has as step the updates before, and valid is 0 in every other batch, so that nothing is updated.
#[derive(Clone, Copy, Debug)]
pub struct Accumulate {
    /// How many gradients there are.
    pub elements: usize,
    /// Rows of a batch.
    pub batch: usize,
    /// Batches of an update.
    pub every: usize,
    /// Whether losses have weights.
    pub weighted: bool,
}

impl Reference for Accumulate {
    fn reference<F: Real>(&self, x: &[In<F>], y: &mut [Out<F>]) {
        let control = Control::read(x[0].words());
        let [sum, grads, of_update, found] = results(y);
        let place = control.first as usize / self.batch % self.every;
        let is_last = control.ends_update(self.batch as u32, self.every as u32);
        let (before, share) = match self.weighted {
            true => (F::of(control.weight.into()), x[1].floats()[0]),
            false => (F::of(place as f64), F::of(f64::from(control.valid) / self.batch as f64)),
        };
        let all = before + share;
        let pieces = sum.floats().par_chunks_mut(PIECE).zip(grads.floats().par_chunks_mut(PIECE));
        let faults = pieces.map(|(sum, grads)| {
            let fault = faults(&[(grads, nonfinite::GRADIENT)]);
            for (s, g) in sum.iter_mut().zip(grads) {
                *s = if place > 0 { *s } else { F::of(0.0) } + share * *g;
                if is_last {
                    *g = if all > F::of(0.0) { *s / all } else { F::of(0.0) };
                }
            }
            fault
        });
        found.words()[0] |= faults.reduce(|| 0, |a, b| a | b);
        let valid = if is_last { (place * self.batch) as u32 + control.valid } else { 0 };
        let step = control.updates(self.batch as u32, self.every as u32);
        of_update.words().copy_from_slice(&Control { step, valid, ..control }.words());
    }
}

impl Op for Accumulate {
    fn name(&self) -> &'static str {
        "accumulate"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        if x.len() != 1 + usize::from(self.weighted) {
            return Err("the control block is expected, and a batch's weight where losses have one".into());
        }
        let like = |name| TensorInfo::floats(name, [self.elements]);
        let words = |name, words: usize| TensorInfo::words(name, [words]);
        Ok(vec![like("accumulated"), like("grads"), words("control of the update", Control::WORDS), words("fault", 1)])
    }

    fn backward(&self, _: &mut Graph, _: &Backward) -> crate::Result<Vec<Option<Tensor>>> {
        no_second_order(self)
    }

    fn lower(&self, cx: &mut Lower) -> crate::Result<()> {
        let count = self.elements.div_ceil(4);
        let kernel = if self.weighted { ACCUMULATE_WEIGHTED } else { ACCUMULATE };
        let launch = cx.kernel(kernel, &[])?.size("count", count).size("batch", self.batch);
        let launch = launch.size("every", self.every).bind("control", cx.x[0]).bind("sum", cx.y[0]);
        let launch = launch.bind("grads", cx.y[1]).bind("of_update", cx.y[2]);
        let launch = launch.bind("fault", cx.y[3]);
        let launch = if self.weighted { launch.bind("batch_weight", cx.x[1]) } else { launch };
        cx.invocations(launch, count)
    }

    /// Rate, corrections and weight, which are copied.
    fn float_words(&self, result: usize) -> std::ops::Range<usize> {
        if result == 2 { 6..10 } else { 0..0 }
    }

    /// Two quotients at 2.5 ULP each, and a rounding for each of the other operations.
    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding { terms: 1, ulps: 10.0 }
    }

    fn magnitude(&self, x: &[In<f64>], y: &mut [Out<f64>]) {
        let absolute = |x: &mut Out<f64>| x.floats().iter_mut().for_each(|x| *x = x.abs());
        absolute(&mut y[0]);
        absolute(&mut y[1]);
        self.reference(x, y);
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    // Seven batches of 16 an epoch, the last of 4.
    let weighted = |elements: usize, every, epoch, place: u32, weight: Option<[f32; 2]>| {
        let (batch, samples, first) = (16usize, 100, place * 16);
        let valid = (samples - first).min(16);
        let control =
            Control { step: 7 * epoch + place, epoch, first, valid, samples, rate: 0.5, ..Control::default() };
        let control = Control { weight: weight.map_or(0.0, |[before, _]| before), ..control };
        let op = Accumulate { elements, batch, every, weighted: weight.is_some() };
        let case = Case::new(op).words([Control::WORDS], control.words());
        let case = weight.into_iter().fold(case, |case, [_, batch]| case.floats([2], vec![batch, 9.0]));
        let case = case.random([elements]).in_place().seed(2).random([elements]).in_place();
        let case = case.words([Control::WORDS], vec![7; Control::WORDS]).in_place();
        case.words([1], vec![elements as u32 % 2 * nonfinite::STATE]).in_place()
    };
    let places =
        [(1, 2, 0, 0), (1027, 2, 3, 1), (513, 3, 1, 4), (4100, 3, 1, 5), (9, 3, 2, 6), (64, 4, 0, 6), (5, 1, 1, 2)];
    let plain = places.into_iter().map(|(elements, every, epoch, place)| weighted(elements, every, epoch, place, None));
    // In the first batch of an update, in its last, and where no label had a weight.
    let by_weight = [(66, 3, 0, [0.0, 7.25]), (1027, 3, 2, [12.5, 3.75]), (64, 2, 1, [0.0, 0.0])];
    let by_weight = by_weight.map(|(elements, every, place, weight)| weighted(elements, every, 1, place, Some(weight)));
    plain.chain(by_weight).collect()
}
