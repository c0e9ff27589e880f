//! Fuzz targets for everything that wgrad reads. They run under libFuzzer here (`tests/fuzz`) and, with mutations of
//! the same corpus, in wgrad's ordinary tests.

pub mod targets;
