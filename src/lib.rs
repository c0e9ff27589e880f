//! wgrad trains neural networks on any GPU that Vulkan, Metal or DX12 reaches.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod case;
pub mod control;
pub mod cpu;
pub mod data;
pub mod error;
pub mod fuse;
pub mod gpu;
pub mod graph;
pub mod kernel;
pub mod model;
pub mod op;
pub mod ops;
pub mod plan;
mod sys;
mod template;
pub mod values;

pub use error::{Error, Result};
