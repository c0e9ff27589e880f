//! wgrad trains neural networks on any GPU that Vulkan, Metal or DX12 reaches: WGSL compute shaders for the
//! arithmetic, a Rust host for the rest, no CUDA and no Python. Without a GPU it runs the same shaders on a
//! software adapter, and without any graphics driver natively on the CPU.
//!
//! A model ([`model`]) builds a graph of ops ([`ir`], [`ops`]); the graph is lowered to a plan of dispatches ([`plan`]), and a
//! device ([`device`]) replays it, step by step ([`step`]), over a data set ([`data`]). [`train`] has settings, the loop, checkpoints
//! and the run folder. [`verify`] compares every kernel with a double-precision oracle, and [`bench`](mod@bench) times
//! it. `ARCHITECTURE.md` in the repository says how the parts fit together and which rules hold; `CONTRIBUTING.md` says
//! how to add to them.
//!
//! # A few lines
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use wgrad::{data::Dataset, device::Device, device::choice::DeviceRequest, model::Sequential, train::settings::options::TrainOptions};
//!
//! # fn main() -> wgrad::Result<()> {
//! let data = Dataset::open("mnist")?;
//! let model = Sequential::new([28, 28, 1]).conv2d(32, 3).relu().max_pool2d(2).flatten().dense(10).build()?;
//! let (device, choice) = pollster::block_on(Device::open(&DeviceRequest::default(), 0))?;
//! println!("{}", choice.reason);
//! let options = TrainOptions::default();
//! let (trained, _) = pollster::block_on(model.fit(&data, &options, &device, |_| ControlFlow::Continue(())))?;
//! let probabilities = trained.predict(&data.test.pixels()[..28 * 28])?;
//! # Ok(())
//! # }
//! ```
//!
//! # Shapes
//!
//! N images of a batch (a capacity: the number of valid ones is stored on the device), H × W pixels, C channels, KH ×
//! KW window, O output channels, OH × OW output positions; M, N, K rows, columns and terms of a matrix product. Images
//! are N, H, W, C in memory. `flatten` yields C, H, W order, so that weight files agree with PyTorch's; if only dense
//! layers follow, the permutation is folded into their weights.
//!
//! # Out of scope
//!
//! Autotuning, a tensor library, gradients of gradients, shaders assembled from strings, waiting inside a step, and
//! code for a single data set.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
mod counted;
pub mod data;
pub mod device;
pub mod error;
pub mod files;
pub mod ir;
mod memory;
pub mod model;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod ops;
pub mod plan;
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "the command shows more of what is foreign"))]
mod printable;
pub mod processes;
#[cfg(feature = "report")]
pub mod report;
pub mod step;
pub mod suggest;
mod sys;
pub mod text;
pub mod train;
pub mod verify;
#[cfg(feature = "watch")]
pub mod watch;

pub use error::{Error, Result};
