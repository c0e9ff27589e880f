//! Sequences: tokens, recurrences over time, and what is picked from the states.

use super::Entry;

mod bounds;
pub mod cells;
pub mod embedding;
pub mod embedding_dw;
pub mod front;
pub mod recurrence;
pub mod recurrence_dx;
pub mod walk;

/// The ops of this family.
pub(super) const OPS: &[Entry] =
    &[entry!(embedding), entry!(embedding_dw), entry!(front), entry!(recurrence), entry!(recurrence_dx)];
