//! Flags that are settings of a run.

pub mod loss;
pub mod optimizer;
pub mod schedule;
pub mod train;
