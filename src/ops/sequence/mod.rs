//! Sequences: tokens, recurrences over time, what is picked from the states, and attention.

use super::Entry;

pub mod additive_scores;
pub mod additive_scores_dx;
pub mod attend;
pub(in crate::ops) mod bounds;
pub mod carry;
pub mod cells;
pub mod embedding;
pub mod embedding_dw;
pub mod front;
pub mod lengths;
pub mod masked_mean;
pub mod over_time_dx;
mod panels;
pub mod recurrence;
pub mod recurrence_dx;
pub mod sample_token;
pub mod select_last;
pub mod shift_right;
pub mod softmax_masked;
pub mod softmax_masked_dx;
pub mod step_place;
pub mod token_at;
pub mod walk;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[
    entry!(additive_scores),
    entry!(additive_scores_dx),
    entry!(carry),
    entry!(embedding),
    entry!(embedding_dw),
    entry!(front),
    entry!(lengths),
    entry!(masked_mean),
    entry!(over_time_dx),
    entry!(recurrence),
    entry!(recurrence_dx),
    entry!(sample_token),
    entry!(select_last),
    entry!(shift_right),
    entry!(softmax_masked),
    entry!(softmax_masked_dx),
    entry!(step_place),
    entry!(token_at),
];
