//! The terminal: progress, lines that fit it, and Ctrl-C.

pub mod beat;
pub mod closing;
pub mod interrupt;
pub mod lines;
pub mod progress;
pub mod table;
