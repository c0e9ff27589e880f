//! Training: the step's graphs, the engine that runs them, the loop, and the run folder.

#[cfg(feature = "images")]
pub mod augmented;
pub mod checkpoint;
pub mod confusion;
pub mod digest;
pub mod engine;
pub mod evaluator;
pub mod every;
mod feed;
pub mod finetune;
pub mod loss;
mod optimizer;
pub mod options;
pub mod predict;
pub mod progress;
pub mod recipe;
mod restore;
pub mod run;
pub mod smaller;
pub mod snapshot;
pub mod step;
mod testing;
pub mod timing;
pub mod trainer;
mod watchdog;
pub mod window;
