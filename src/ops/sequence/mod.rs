//! Sequences: tokens, recurrences over time, what is picked from the states, and attention.

use super::Entry;

pub mod attend;
mod bounds;
pub mod cells;
pub mod embedding;
pub mod embedding_dw;
pub mod front;
pub mod lengths;
pub mod masked_mean;
pub mod over_time_dx;
pub mod recurrence;
pub mod recurrence_dx;
pub mod select_last;
pub mod softmax_masked;
pub mod softmax_masked_dx;
pub mod walk;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[
    entry!(embedding),
    entry!(embedding_dw),
    entry!(front),
    entry!(lengths),
    entry!(masked_mean),
    entry!(over_time_dx),
    entry!(recurrence),
    entry!(recurrence_dx),
    entry!(select_last),
    entry!(softmax_masked),
    entry!(softmax_masked_dx),
];
