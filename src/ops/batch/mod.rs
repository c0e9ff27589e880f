//! How a batch is drawn from the data.

use super::Entry;

pub mod draw;
pub mod draw_augmented;
pub mod draw_mask;
pub mod draw_stream;
pub mod jitter;
pub mod mixup;
pub mod normalise;
mod warp;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[
    entry!(draw),
    entry!(draw_augmented),
    entry!(draw_mask),
    entry!(draw_stream),
    entry!(jitter),
    entry!(mixup),
    entry!(normalise),
];
