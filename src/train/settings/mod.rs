//! What a run can be told.

pub mod config;
pub mod every;
#[cfg(feature = "cli")]
pub mod flags;
pub mod loss;
mod optimizer;
pub mod optimizers;
pub mod options;
pub mod overlay;
pub mod recipe;
