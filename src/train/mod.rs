//! Training: the step's graphs, the engine that runs them, the loop, and the run folder.

#[cfg(feature = "images")]
pub mod augmented;
pub mod defaults;
pub mod epochs;
pub mod finetune;
pub mod generate;
mod merge;
pub mod pairing;
pub mod predict;
pub mod processes;
pub mod run;
pub mod session;
pub mod settings;
pub mod smaller;
pub mod state;
pub mod step;
pub mod translate;
