//! A step in its parts: dispatches on an adapter, ops on the native CPU, run one at a time with their results to be read.

use crate::error::Result;
use crate::ir::graph::Tensor;
use crate::ir::values::Values;
use crate::plan::kernel::Space;
use crate::train::epochs::engine::{Engine, Kind};

/// A part of a step that runs by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The graph's node that it works for.
    pub node: usize,
    /// The kernel in its expansion; none on the native CPU.
    pub kernel: Option<String>,
    /// What it writes and can be read: the node's results, or memory for this node alone.
    pub results: Vec<Tensor>,
}

impl Engine {
    /// The parts of a step, in their order.
    pub fn parts(&self) -> Vec<Part> {
        match &self.kind {
            Kind::Gpu(executor) => {
                let plan = executor.plan();
                let part = |dispatch: &crate::plan::Dispatch| {
                    let bound = dispatch.bindings.iter().zip(&plan.kernels[&dispatch.kernel].bindings);
                    let written = bound.filter(|(_, binding)| binding.writes && binding.space == Space::Buffer);
                    let results = written.map(|((_, tensor), _)| *tensor).collect();
                    Part { node: dispatch.node, kernel: Some(dispatch.kernel.to_string()), results }
                };
                plan.dispatches.iter().map(part).collect()
            }
            Kind::Cpu { .. } => {
                let nodes = self.graph.nodes.iter().enumerate().filter(|(_, node)| !node.op.is_view());
                nodes.map(|(n, node)| Part { node: n, kernel: None, results: node.y.clone() }).collect()
            }
        }
    }

    /// Runs the part of that number, and waits for it.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] where the device fails.
    pub fn run_part(&mut self, n: usize) -> Result<()> {
        match &mut self.kind {
            Kind::Gpu(executor) => executor.run_dispatch(n),
            Kind::Cpu { executor, pool, .. } => {
                let mut nodes = (0..self.graph.nodes.len()).filter(|&n| !self.graph.nodes[n].op.is_view());
                if let Some(node) = nodes.nth(n) {
                    pool.install(|| executor.run(node));
                }
                Ok(())
            }
        }
    }

    /// The name and shape of what a part writes, and its elements as they are now.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] where the device fails.
    pub async fn read_result(&self, t: Tensor) -> Result<(String, Vec<usize>, Values)> {
        let (info, values) = match &self.kind {
            Kind::Gpu(executor) => {
                let info = &executor.plan().tensors[t.index()];
                (info, Values::from_bytes(info.dtype, &executor.read(t).await?))
            }
            Kind::Cpu { executor, .. } => (self.graph.info(t), executor.get(t)),
        };
        Ok((info.name.clone(), info.shape.0.clone(), values))
    }
}
