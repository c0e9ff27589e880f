//! Data sets that wgrad makes itself.

pub mod repeated;
#[cfg(feature = "mnist-data")]
pub mod scenes;
