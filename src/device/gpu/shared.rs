//! Steps on an adapter, by the calls that all devices share.

use crate::device::executor::{self, Part, Waiting};
use crate::device::gpu::executor::Executor;
use crate::device::gpu::timing::Clock;
use crate::error::{Error, Result};
use crate::ir::graph::{DType, Phase, Role, Tensor, TensorInfo};
use crate::ir::values::Values;
use crate::plan::Dispatch;
use crate::plan::kernel::Space;
use std::any::Any;

/// Another executor, which is on an adapter too.
pub(in crate::device::gpu) fn of(other: &dyn executor::Executor) -> Result<&Executor> {
    let other = (other as &dyn Any).downcast_ref::<Executor>();
    other.ok_or_else(|| Error::failed("the two executors are on different devices, expected one"))
}

impl executor::Executor for Executor {
    fn bytes(&self) -> u64 {
        self.plan().total_bytes()
    }

    fn created(&self) -> usize {
        Executor::created(self)
    }

    fn info(&self, t: Tensor) -> &TensorInfo {
        &self.plan().tensors[t.index()]
    }

    fn has(&self, t: Tensor) -> bool {
        self.plan().places[t.index()].is_some()
    }

    fn write(&mut self, t: Tensor, values: &Values) -> Result<()> {
        Executor::write(self, t, values.bytes())
    }

    fn write_at(&mut self, t: Tensor, at: usize, values: &Values) -> Result<()> {
        let element = if self.plan().tensors[t.index()].dtype == DType::U8 { 1 } else { 4 };
        Executor::write_at(self, t, at as u64 * element, values.bytes())
    }

    fn flush(&self) -> Result<()> {
        Executor::flush(self)
    }

    fn read(&self, t: Tensor) -> Waiting<'_, Values> {
        let dtype = self.plan().tensors[t.index()].dtype;
        Box::pin(async move { Ok(Values::from_bytes(dtype, &Executor::read(self, t).await?)) })
    }

    fn copy_from(&mut self, to: Tensor, other: &dyn executor::Executor, from: Tensor) -> Result<()> {
        Executor::copy_from(self, to, of(other)?, from)
    }

    fn submit(&mut self, steps: u32) -> Result<()> {
        Executor::submit(self, steps)
    }

    fn submit_phase(&mut self, phase: Phase) -> Result<()> {
        Executor::submit_phase(self, phase)
    }

    fn collect(&mut self) -> Waiting<'_, Option<Values>> {
        Box::pin(async move {
            let dtype = self.readback().map(|t| self.plan().tensors[t.index()].dtype);
            let bytes = Executor::collect(self).await?;
            Ok(dtype.zip(bytes).map(|(dtype, bytes)| Values::from_bytes(dtype, &bytes)))
        })
    }

    fn one_by_one(&mut self) {
        Executor::one_by_one(self);
    }

    fn parts(&self) -> Vec<Part> {
        let plan = self.plan();
        let part = |dispatch: &Dispatch| {
            let bound = dispatch.bindings.iter().zip(&plan.kernels[&dispatch.kernel].bindings);
            let written = bound.filter(|(_, binding)| binding.writes && binding.space == Space::Buffer);
            let results = written.map(|((_, tensor), _)| *tensor).collect();
            let places = dispatch.bindings.iter().filter_map(|(_, tensor)| plan.places[tensor.index()]);
            let bytes = places.filter(|p| plan.buffers[p.buffer].role != Role::Data).map(|p| p.bytes).sum();
            Part { node: dispatch.node, kernel: Some(dispatch.kernel.to_string()), results, bytes }
        };
        plan.dispatches.iter().map(part).collect()
    }

    fn run_part(&mut self, n: usize) -> Result<()> {
        self.run_dispatch(n)
    }

    fn time_parts(&mut self) -> Waiting<'_, Option<Vec<f64>>> {
        Box::pin(async move {
            match self.clock() {
                Clock::Device => Ok(Some(self.time_dispatches(Clock::Device).await?)),
                Clock::Wall => Ok(None),
            }
        })
    }

    fn clock(&self) -> Clock {
        Executor::clock(self)
    }

    fn time_parts_by(&mut self, clock: Clock) -> Waiting<'_, Vec<f64>> {
        Box::pin(async move { self.time_dispatches(clock).await })
    }
}
