//! The loop: epochs of steps on a device, evaluation after each, and their events.

pub mod confusion;
pub mod engine;
pub mod evaluator;
mod feed;
pub mod progress;
mod sampler;
pub mod scores;
mod stretch;
mod testing;
pub mod timing;
pub mod top;
pub mod trainer;
mod watchdog;
