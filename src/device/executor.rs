//! A graph built on a device: the calls of training, verification and traces, the same on every device.

use crate::device::cpu::native::Native;
use crate::device::gpu::timing::Clock;
use crate::device::gpu::{class_of, executor as gpu, limits_of};
use crate::device::{Device, cpu};
use crate::error::Result;
use crate::ir::graph::{Graph, Phase, Tensor, TensorInfo};
use crate::ir::launch::KernelClass;
use crate::ir::values::Values;
use crate::plan::lower::{Target, lower};
use std::any::Any;
use std::fmt::Debug;
use std::pin::Pin;

/// A result that is waited for.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// A part of a step that runs by itself: a dispatch on an adapter, an op on the native CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The graph's node that it works for.
    pub node: usize,
    /// The kernel in its expansion; none on the native CPU.
    pub kernel: Option<String>,
    /// Its readable results: the node's results, or memory for this node alone.
    pub results: Vec<Tensor>,
    /// Bytes of everything that it binds, the data set apart; 0 on the native CPU.
    pub bytes: u64,
}

/// A graph with its memory on a device. Every method fails where the device fails.
pub trait Executor: Any + Debug + Send {
    /// The memory of all tensors, in bytes.
    fn bytes(&self) -> u64;

    /// Objects created on the device since the start; a step adds none.
    fn created(&self) -> usize;

    /// The properties of a tensor, including scratch tensors of the lowering.
    fn info(&self, t: Tensor) -> &TensorInfo;

    /// Whether the tensor has memory here: a plan leaves out what no dispatch touches.
    fn has(&self, t: Tensor) -> bool;

    /// Replaces a tensor's elements.
    fn write(&mut self, t: Tensor, values: &Values) -> Result<()>;

    /// Replaces some elements of a tensor, from the element `at` on; on an adapter it begins a word.
    fn write_at(&mut self, t: Tensor, at: usize, values: &Values) -> Result<()>;

    /// Waits until the device has what was written to it.
    fn flush(&self) -> Result<()>;

    /// A tensor's elements.
    fn read(&self, t: Tensor) -> Waiting<'_, Values>;

    /// Copies `from` of another executor on the same device to `to` here.
    fn copy_from(&mut self, to: Tensor, other: &dyn Executor, from: Tensor) -> Result<()>;

    /// Starts this many steps.
    fn submit(&mut self, steps: u32) -> Result<()>;

    /// Starts the part of a step that belongs to a phase; nothing is read back after it.
    fn submit_phase(&mut self, phase: Phase) -> Result<()>;

    /// Waits for the oldest submit and returns the tensor that is read back after each; `None` if none is in flight.
    fn collect(&mut self) -> Waiting<'_, Option<Values>>;

    /// Asks for the next step to be handed over in parts, where the device takes steps whole.
    fn one_by_one(&mut self);

    /// The parts of a step, in their order.
    fn parts(&self) -> Vec<Part>;

    /// Runs the part of that number, and waits for it.
    fn run_part(&mut self, n: usize) -> Result<()>;

    /// Runs a step and returns the seconds of each part; `None` if the device has no clock of its own.
    fn time_parts(&mut self) -> Waiting<'_, Option<Vec<f64>>>;

    /// The best clock that there is for parts.
    fn clock(&self) -> Clock;

    /// Seconds of each part by a clock; parts may run several times, so that tensors hold other values afterwards than
    /// after a step.
    fn time_parts_by(&mut self, clock: Clock) -> Waiting<'_, Vec<f64>>;
}

/// Memory of another executor on the same device.
#[derive(Clone, Copy, Debug)]
pub struct Lent<'a> {
    /// Whose it is.
    pub by: &'a dyn Executor,
    /// Whose memory it is there; it owns it.
    pub from: Tensor,
    /// What lies in it here; nothing here may write it.
    pub to: Tensor,
}

/// How to build a graph on a device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Build<'a> {
    /// The tensor that is read back after every submit.
    pub readback: Option<Tensor>,
    /// Whether results may share memory when their lifetimes allow; off where all are to be read.
    pub reuse: bool,
    /// Whether shaders keep naga's bounds checks.
    pub checked: bool,
    /// The class of kernels; the one that training takes where it is `None`.
    pub class: Option<KernelClass>,
    /// Memory that is not allocated here.
    pub lent: Option<Lent<'a>>,
}

impl Device {
    /// Builds everything that `graph` needs on the device.
    ///
    /// # Errors
    /// [`crate::Error::Input`] if the device cannot hold it.
    pub fn executor(
        &self,
        graph: &Graph,
        Build { readback, reuse, checked, class, lent }: Build,
    ) -> Result<Box<dyn Executor>> {
        Ok(match self {
            Device::Gpu(gpu) => {
                let class = class.unwrap_or(class_of(gpu));
                let plan = lower(graph, Target { class, limits: limits_of(gpu), reuse })?;
                let mut executor: Box<dyn Executor> =
                    Box::new(gpu::Executor::with(gpu.clone(), plan, readback, checked, lent)?);
                for (t, values) in &graph.constants {
                    if executor.has(*t) {
                        executor.write(*t, values)?;
                    }
                }
                executor
            }
            Device::Cpu(pool) => Box::new(Native::new(graph, pool.clone(), readback, reuse, lent)?),
        })
    }

    /// Whether the device can hold these graphs, each by itself on an adapter and all together on the native CPU; nothing
    /// is allocated.
    ///
    /// # Errors
    /// [`crate::Error::Input`] that says why not.
    pub fn check(&self, graphs: &[&Graph]) -> Result<()> {
        match self {
            Device::Gpu(gpu) => {
                let target = Target { class: class_of(gpu), limits: limits_of(gpu), reuse: true };
                graphs.iter().try_for_each(|graph| lower(graph, target).map(drop))
            }
            Device::Cpu(_) => cpu::check_memory::<f32>(graphs),
        }
    }

    /// Keeps what the driver has compiled for the next run, where it can be kept.
    pub fn save_pipelines(&self) {
        if let Device::Gpu(gpu) = self {
            gpu.save_pipelines();
        }
    }
}
