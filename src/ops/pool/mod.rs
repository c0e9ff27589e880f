//! Pools over windows of an image.

use super::Entry;

pub mod avg_pool2d;
pub mod avg_pool2d_dx;
pub mod max_pool2d;
pub mod max_pool2d_dx;
pub mod windows;

/// The ops of this family.
pub(super) const OPS: &[Entry] =
    &[entry!(avg_pool2d), entry!(avg_pool2d_dx), entry!(max_pool2d), entry!(max_pool2d_dx)];
