//! What a run can be told.

pub mod every;
pub mod loss;
mod optimizer;
pub mod optimizers;
pub mod options;
pub mod recipe;
