//! Sequences: tokens, recurrences over time, and what is picked from the states.

use super::Entry;

pub mod embedding;
pub mod embedding_dw;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[entry!(embedding), entry!(embedding_dw)];
