//! Models and weights as files: the model file, weight files and the model inside them, and those of other programs.

pub mod import;
mod json;
pub mod pretrained;
pub mod sealed;
mod tensor;
mod tied;
pub mod toml;
pub mod weights;
