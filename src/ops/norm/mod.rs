//! Normalisations, and sums down columns.

use super::Entry;

pub mod batch_norm;
pub mod batch_norm_dx;
pub mod batch_norm_update;
pub(crate) mod columns;
pub mod layer_norm;
pub mod layer_norm_dx;

/// The ops of this family.
pub(super) const OPS: &[Entry] =
    &[entry!(batch_norm), entry!(batch_norm_dx), entry!(batch_norm_update), entry!(layer_norm), entry!(layer_norm_dx)];
