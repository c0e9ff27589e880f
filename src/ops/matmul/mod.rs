//! Products of matrices.

use super::Entry;

pub(crate) mod bias;
pub mod matmul_batched;
pub mod matmul_nn;
pub mod matmul_nt;
pub mod matmul_tn;
pub(crate) mod splits;
pub mod tiles;

/// The ops of this family.
pub(super) const OPS: &[Entry] = &[entry!(matmul_batched), entry!(matmul_nn), entry!(matmul_nt), entry!(matmul_tn)];
