//! The subcommands, one per file.

pub mod bench;
pub mod completions;
pub mod data;
pub mod devices;
pub mod eval;
pub mod export;
pub mod generate;
pub mod import;
#[cfg(feature = "mnist-data")]
pub mod make;
pub mod man;
pub mod plan;
pub mod predict;
mod processes;
pub mod report;
pub mod resume;
pub mod runs;
pub mod session;
pub mod summary;
pub mod sweep;
pub mod trace;
pub mod train;
pub mod verify;
#[cfg(feature = "watch")]
pub mod watch;
