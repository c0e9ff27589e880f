//! Flags that are settings of a run.

pub mod train;
