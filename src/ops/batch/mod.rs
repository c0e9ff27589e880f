//! How a batch is drawn from the data.

use super::Entry;

pub mod gather;
pub mod gather_augmented;
pub mod gather_labels;
pub mod mixup;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[entry!(gather), entry!(gather_augmented), entry!(gather_labels), entry!(mixup)];
