//! Normalisations, and sums down columns.

use super::Entry;

pub mod batch_norm;
pub mod batch_norm_dx;
pub mod batch_norm_update;
pub(crate) mod columns;
pub mod group_norm;
pub mod group_norm_dx;
pub mod layer_norm;
pub mod layer_norm_dx;
pub mod rms_norm;
pub mod rms_norm_dx;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[
    entry!(batch_norm),
    entry!(batch_norm_dx),
    entry!(batch_norm_update),
    entry!(group_norm),
    entry!(group_norm_dx),
    entry!(layer_norm),
    entry!(layer_norm_dx),
    entry!(rms_norm),
    entry!(rms_norm_dx),
];
