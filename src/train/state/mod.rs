//! The state of a run: checkpoints, how it is restored from one, and the digest of its weights.

pub mod checkpoint;
pub mod digest;
pub(in crate::train) mod restore;
pub mod snapshot;
