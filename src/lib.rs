//! wgrad trains neural networks on any GPU that Vulkan, Metal or DX12 reaches: WGSL compute shaders for the
//! arithmetic, a Rust host for the rest, no CUDA and no Python. Without a GPU it runs the same shaders on a
//! software adapter, and without any graphics driver natively on the CPU.
//!
//! # The way the data goes
//!
//! ```text
//! flags, config.toml ─▶ settings ─▶ Model (layers) ──build──▶ Graph (ops, tensors, backward: pure data)
//!                                                               │                      │
//!                                                    fuse, lower(tile | lanes)         │ op by op
//!                                                               ▼                      ▼
//! Dataset (u8, uploaded once) ───────────────▶ Plan (dispatches) ─▶ gpu::Executor   cpu::Executor
//!                                                                          └─────┬──────────┘
//!                                     Engine ─▶ Trainer: epochs, metrics, run folder
//! ```
//!
//! - [`ir`]: tensors and their graph, what an op is, the cases that hold an op to its reference.
//! - [`ops`]: every op. An op is one column in three places: its shaders in `shaders/`, its file in `src/ops/` (formula,
//!   shapes, launch, gradient, fast CPU form, cases), its line in the family's `mod.rs`. The reference is naive, generic
//!   over the float type, and in `f64` the oracle of all else.
//! - [`plan`]: from a graph to dispatches, and buffers by role; the rewrites before ([`plan::fuse`]), and what naga reads
//!   off a shader ([`plan::kernel`]): bindings are matched by name and sizes set by name, never typed twice.
//! - [`device`]: adapters and their choice, pipelines, the executor that replays a plan and the one that runs a graph on
//!   the native CPU. After build, a step creates nothing: all that changes from step to step lives on the device ([`step`]).
//! - [`model`]: layers, presets, first weights, model and weight files, the summary. [`data`]: data sets and their formats.
//! - [`train`]: settings, the step's graphs, the loop, checkpoints, the run folder.
//! - [`verify`]: every kernel against the oracle, and two devices op by op; [`bench`](mod@bench): every op against the
//!   native CPU; `report` (feature `report`): a run as one page; `watch` (feature `watch`): the same page, live.
//!
//! Imports run one way: cli → watch, report → verify, bench, onnx → train → data, model → device → plan → ops → ir.
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
//! let probabilities = trained.predict(&data.test.pixels[..28 * 28])?;
//! # Ok(())
//! # }
//! ```
//!
//! # Shapes
//!
//! N images of a batch (a capacity: how many are valid stands on the device), H × W pixels, C channels, KH × KW window,
//! O output channels, OH × OW output places; M, N, K rows, columns and terms of a matrix product. Images are N, H, W, C
//! in memory. `flatten` yields C, H, W order, so that weight files agree with PyTorch's; where only dense layers follow,
//! the permutation is folded into their weights.
//!
//! # Deliberately absent
//!
//! Autotuning, a tensor library, gradients of gradients, shaders put together from strings, waiting inside a step, and
//! everything that only one data set needs.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod device;
pub mod error;
pub mod files;
pub mod ir;
pub mod model;
pub mod near;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod ops;
pub mod plan;
#[cfg(feature = "report")]
pub mod report;
pub mod step;
mod sys;
pub mod train;
pub mod verify;
#[cfg(feature = "watch")]
pub mod watch;

pub use error::{Error, Result};
