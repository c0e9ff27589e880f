//! Generated data sets.

pub mod repeated;
#[cfg(feature = "mnist-data")]
pub mod scenes;
