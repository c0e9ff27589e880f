//! Optimizers, and what happens to gradients and weights around them.

use super::Entry;
use super::prelude::{Real, TensorInfo, arguments};

pub mod accumulate;
pub mod adadelta;
pub mod adagrad;
pub mod adam;
pub mod clip_norm;
pub mod clip_value;
pub mod ema;
pub mod lion;
pub mod rmsprop;
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

/// The bits of those values that are no finite numbers.
fn faults<F: Real>(places: &[(F, u32)]) -> u32 {
    places.iter().filter(|(x, _)| !x.is_finite()).fold(0, |found, (_, bit)| found | bit)
}
