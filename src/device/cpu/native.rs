//! Steps on the native CPU, by the calls that all devices share.

use crate::device::cpu;
use crate::device::executor::{Executor, Lent, Part, Waiting};
use crate::device::gpu::timing::Clock;
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Phase, Tensor, TensorInfo};
use crate::ir::values::Values;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// A graph in single precision, run by the threads of a pool.
#[derive(Debug)]
pub struct Native {
    executor: cpu::Executor,
    pool: Arc<rayon::ThreadPool>,
    readback: Option<Tensor>,
    done: VecDeque<Values>,
}

impl Native {
    /// Memory for a graph, but for what is lent, shared by lifetime with `reuse`; `readback` is read back after every submit.
    pub(in crate::device) fn new(
        graph: &Graph,
        pool: Arc<rayon::ThreadPool>,
        readback: Option<Tensor>,
        reuse: bool,
        lent: Option<Lent>,
    ) -> Result<Self> {
        let lent = lent.map(|Lent { by, from, to }| Ok((to, of(by)?.executor.lend(from)))).transpose()?;
        let executor = cpu::Executor::with_memory(graph.clone(), true, reuse, lent)?;
        Ok(Native { executor, pool, readback, done: VecDeque::new() })
    }

    /// The nodes that compute something: the parts of a step.
    fn nodes(&self) -> impl Iterator<Item = usize> {
        let nodes = &self.executor.graph().nodes;
        (0..nodes.len()).filter(|&n| !nodes[n].op.is_view())
    }

    fn run(&mut self, node: usize) {
        self.pool.install(|| self.executor.run(node));
    }
}

/// Another executor, which is on the native CPU too.
fn of(other: &dyn Executor) -> Result<&Native> {
    let other = (other as &dyn Any).downcast_ref::<Native>();
    other.ok_or_else(|| Error::failed("the two executors are on different devices, expected one"))
}

impl Executor for Native {
    fn bytes(&self) -> u64 {
        self.executor.bytes()
    }

    fn created(&self) -> usize {
        0
    }

    fn info(&self, t: Tensor) -> &TensorInfo {
        self.executor.graph().info(t)
    }

    fn has(&self, _: Tensor) -> bool {
        true
    }

    fn write(&mut self, t: Tensor, values: &Values) -> Result<()> {
        self.executor.set(t, values)
    }

    fn write_at(&mut self, t: Tensor, at: usize, values: &Values) -> Result<()> {
        self.executor.set_at(t, at, values)
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn read(&self, t: Tensor) -> Waiting<'_, Values> {
        Box::pin(async move { Ok(self.executor.get(t)) })
    }

    fn copy_from(&mut self, to: Tensor, other: &dyn Executor, from: Tensor) -> Result<()> {
        self.executor.set(to, of(other)?.executor.get(from))
    }

    fn submit(&mut self, steps: u32) -> Result<()> {
        self.pool.install(|| (0..steps).for_each(|_| self.executor.step()));
        self.done.extend(self.readback.map(|t| self.executor.get(t)));
        Ok(())
    }

    fn submit_phase(&mut self, phase: Phase) -> Result<()> {
        let nodes: Vec<usize> = self.nodes().filter(|&n| self.executor.graph().nodes[n].phase == phase).collect();
        self.pool.install(|| nodes.into_iter().for_each(|node| self.executor.run(node)));
        Ok(())
    }

    fn collect(&mut self) -> Waiting<'_, Option<Values>> {
        Box::pin(async move { Ok(self.done.pop_front()) })
    }

    fn one_by_one(&mut self) {}

    fn parts(&self) -> Vec<Part> {
        let nodes = &self.executor.graph().nodes;
        self.nodes().map(|node| Part { node, kernel: None, results: nodes[node].y.clone(), bytes: 0 }).collect()
    }

    fn run_part(&mut self, n: usize) -> Result<()> {
        let node = self.nodes().nth(n);
        node.into_iter().for_each(|node| self.run(node));
        Ok(())
    }

    fn time_parts(&mut self) -> Waiting<'_, Option<Vec<f64>>> {
        Box::pin(async move { self.time_parts_by(Clock::Wall).await.map(Some) })
    }

    fn clock(&self) -> Clock {
        Clock::Wall
    }

    fn time_parts_by(&mut self, _: Clock) -> Waiting<'_, Vec<f64>> {
        Box::pin(async move {
            let nodes: Vec<usize> = self.nodes().collect();
            let timed = nodes.into_iter().map(|node| {
                let begun = Instant::now();
                self.run(node);
                begun.elapsed().as_secs_f64()
            });
            Ok(timed.collect())
        })
    }
}
