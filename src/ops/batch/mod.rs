//! How a batch is drawn from the data.

use super::Entry;

pub mod draw;
pub mod gather_augmented;
pub mod mixup;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[entry!(draw), entry!(gather_augmented), entry!(mixup)];
