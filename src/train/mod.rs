//! Training: the step's graphs, the engine that runs them, the loop, and the run folder.

pub mod engine;
pub mod evaluator;
pub mod options;
pub mod predict;
pub mod run;
pub mod snapshot;
pub mod step;
pub mod timing;
pub mod trainer;
