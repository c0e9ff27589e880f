//! The settings of a run.

pub mod class_weights;
pub mod config;
#[cfg(feature = "cli")]
pub mod flags;
pub mod goal;
pub mod interval;
pub mod loss;
pub mod lr_scale;
pub mod normalise;
mod optimizer;
pub mod optimizers;
pub mod options;
pub mod overlay;
pub mod recipe;
pub mod schedule;
