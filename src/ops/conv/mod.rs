//! Convolutions, their gradients, and what they share: geometry, patches, padding.

use super::Entry;

pub mod conv2d;
pub mod conv2d_dw;
pub mod conv2d_dx;
pub mod conv2d_grouped;
pub mod conv2d_grouped_dw;
pub mod conv2d_grouped_dx;
pub mod conv2d_relu_pool;
pub mod conv2d_relu_pool_dw;
pub mod conv2d_relu_pool_dx;
pub(crate) mod direct;
pub mod geometry;
pub(crate) mod im2col;
pub(crate) mod pad;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[
    entry!(conv2d),
    entry!(conv2d_dw),
    entry!(conv2d_dx),
    entry!(conv2d_grouped),
    entry!(conv2d_grouped_dw),
    entry!(conv2d_grouped_dx),
    entry!(conv2d_relu_pool),
    entry!(conv2d_relu_pool_dw),
    entry!(conv2d_relu_pool_dx),
];
