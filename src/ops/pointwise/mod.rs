//! Ops that work on each element alone, and sums of a bias.

use super::Entry;

pub mod activation;
pub mod activation_dx;
pub mod add;
pub mod add_bias;
pub mod add_bias_db;
pub mod add_to;
pub mod dropout;
mod fast;
pub mod multiply;
pub mod multiply_db;
pub mod relu;
pub mod relu_dx;
pub mod scale;
pub mod swiglu;
pub mod swiglu_dx;
pub mod then;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[
    entry!(activation),
    entry!(activation_dx),
    entry!(add),
    entry!(add_bias),
    entry!(add_bias_db),
    entry!(add_to),
    entry!(dropout),
    entry!(multiply),
    entry!(multiply_db),
    entry!(relu),
    entry!(relu_dx),
    entry!(scale),
    entry!(swiglu),
    entry!(swiglu_dx),
];
