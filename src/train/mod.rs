//! Training: the step's graphs, the engine that runs them, the loop, and the run folder.

pub mod confusion;
pub mod engine;
pub mod evaluator;
pub mod finetune;
pub mod options;
pub mod predict;
pub mod run;
pub mod step;
pub mod trainer;
