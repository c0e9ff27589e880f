//! Optimizers, and what happens to gradients and weights around them.

use super::Entry;
use super::prelude::{In, IntoParallelIterator, Out, ParallelIterator, Real, TensorInfo, arguments};
use super::vectors::each;
use crate::step::control::Control;

pub mod accumulate;
pub mod adadelta;
pub mod adagrad;
pub mod adam;
pub mod clip_norm;
pub mod clip_value;
pub mod ema;
pub mod lion;
pub mod rmsprop;
pub mod scale_rate;
pub mod sgd;
pub mod step_end;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[
    entry!(accumulate),
    entry!(adadelta),
    entry!(adagrad),
    entry!(adam),
    entry!(clip_norm),
    entry!(clip_value),
    entry!(ema),
    entry!(lion),
    entry!(rmsprop),
    entry!(scale_rate),
    entry!(sgd),
    entry!(step_end),
];

/// The results of an optimizer, all updated in place: parameters and states like the gradients, and the fault. The arguments
/// are the control block and the gradients.
fn updated(x: &[&TensorInfo], states: &[&str]) -> Result<Vec<TensorInfo>, String> {
    let [_, grads] = arguments(x)?;
    let like = |name: &&str| TensorInfo::floats(*name, grads.shape.clone());
    let floats = ["params"].iter().chain(states).map(like);
    Ok(floats.chain([TensorInfo::words("fault", [1])]).collect())
}

/// The bits of those slices that hold a value that is no finite number.
fn faults<F: Real>(places: &[(&[F], u32)]) -> u32 {
    let any = |x: &[F]| x.iter().fold(false, |found, x| found | !x.is_finite());
    places.iter().filter(|(x, _)| any(x)).fold(0, |found, (_, bit)| found | bit)
}

/// Elements that a thread of the native CPU takes at a time.
const PIECE: usize = 4096;

/// Updates parameters and states in place, N in all, with the arguments and results of [`updated`]. `step` takes a piece of the
/// gradients, to which `l2` times the parameters is added, and the pieces of the others, and gives the bits of their faults. A
/// step without a valid sample changes nothing.
fn update<F: Real, const N: usize>(
    x: &[In<F>],
    y: &mut [Out<F>],
    l2: f64,
    step: impl Fn(&Control, &[F], [&mut [F]; N]) -> u32 + Sync,
) {
    let (control, grads, l2) = (Control::read(x[0].words()), x[1].floats(), F::of(l2));
    let Some((found, state)) = y.split_last_mut().filter(|_| control.valid > 0) else { return };
    let mut state = state.iter_mut().map(|state| state.floats().chunks_mut(PIECE));
    let mut state: [_; N] = std::array::from_fn(|_| state.next().unwrap_or_else(|| [].chunks_mut(PIECE)));
    let pieces: Vec<(&[F], [&mut [F]; N])> = grads
        .chunks(PIECE)
        .map(|grads| (grads, state.each_mut().map(|state| state.next().unwrap_or_default())))
        .collect();
    let faults = pieces.into_par_iter().map(|(grads, state)| {
        if l2 == F::of(0.0) {
            return step(&control, grads, state);
        }
        let mut decayed = [F::of(0.0); PIECE];
        let decayed = &mut decayed[..grads.len()];
        let params = &*state[0];
        each!([grads, params] => [decayed] { (grads + l2 * params,) });
        step(&control, decayed, state)
    });
    found.words()[0] |= faults.reduce(|| 0, |a, b| a | b);
}
