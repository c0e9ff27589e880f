//! Ops that move elements and resize images.

use super::Entry;

pub mod concat;
pub mod reshape;
pub mod slice;
pub mod slice_dx;
pub mod transpose;
pub mod upsample2d;
pub mod upsample2d_bilinear;
pub mod upsample2d_bilinear_dx;
pub mod upsample2d_dx;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[
    entry!(concat),
    entry!(reshape),
    entry!(slice),
    entry!(slice_dx),
    entry!(transpose),
    entry!(upsample2d),
    entry!(upsample2d_bilinear),
    entry!(upsample2d_bilinear_dx),
    entry!(upsample2d_dx),
];
