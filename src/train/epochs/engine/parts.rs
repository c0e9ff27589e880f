//! A step in its parts: dispatches on an adapter, ops on the native CPU, run one at a time with their results to be read.

pub use crate::device::executor::Part;
use crate::error::Result;
use crate::ir::graph::Tensor;
use crate::ir::values::Values;
use crate::train::epochs::engine::Engine;

impl Engine {
    /// The parts of a step, in their order.
    pub fn parts(&self) -> Vec<Part> {
        self.executor.parts()
    }

    /// Runs the part of that number, and waits for it.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if the device fails.
    pub fn run_part(&mut self, n: usize) -> Result<()> {
        self.executor.run_part(n)
    }

    /// The name and shape of what a part writes, and its elements as they are now.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if the device fails.
    pub async fn read_result(&self, t: Tensor) -> Result<(String, Vec<usize>, Values)> {
        let values = self.executor.read(t).await?;
        let info = self.executor.info(t);
        Ok((info.name.clone(), info.shape.0.clone(), values))
    }
}
