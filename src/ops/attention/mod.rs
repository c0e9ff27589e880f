//! Scaled dot-product attention of several heads, without a matrix of all queries and keys in memory.

use super::Entry;

#[allow(clippy::module_inception, reason = "an op has a file of its name, also that of the family's name")]
pub mod attention;
pub mod attention_dx;
pub(crate) mod heads;
pub mod keep_rows;
pub mod limits;
pub mod rotary;
mod rows;
mod weights;

/// The ops of this family.
pub(super) const OPS: &[Entry] =
    &[entry!(attention), entry!(attention_dx), entry!(keep_rows), entry!(limits), entry!(rotary)];
