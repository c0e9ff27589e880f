//! State on the device from step to step: the control block, the word of the watchdog, the learning rate, and how
//! training images are changed as they are drawn.

pub mod augment;
pub mod control;
pub mod nonfinite;
pub mod schedule;
