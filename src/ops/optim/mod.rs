//! Optimizers, and what happens to gradients and weights around them.

use super::Entry;

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
