//! A row for every op of a step's graph: its dispatches on the adapter, its fast form on the native CPU.

use crate::bench::REPETITIONS;
use crate::bench::figures::{Range, median, range};
use crate::bench::runner::contents;
use crate::data::Split;
use crate::device::Device;
use crate::device::executor::{Build, Executor, Part};
use crate::device::gpu::timing::Clock;
use crate::error::Result;
use crate::ir::graph::{Graph, Tensor};
use crate::ir::values::Values;
use crate::model::Model;
use crate::train::settings::options::TrainOptions;
use crate::train::step::Step;
use serde::Serialize;

/// One op of the graph; times are for one step.
#[derive(Clone, Debug, Serialize)]
pub struct OpReport {
    /// The op.
    pub op: String,
    /// Its dispatches.
    pub dispatches: usize,
    /// Milliseconds of its dispatches: the sum of each one's median.
    pub shader_ms: Option<f64>,
    /// The fastest and the slowest repetition.
    pub shader_ms_range: Option<Range>,
    /// Milliseconds of the CPU's fast form on tensors of the same sizes: the median.
    pub cpu_ms: f64,
    /// The fastest and the slowest repetition.
    pub cpu_ms_range: Range,
    /// Its part of all dispatches' time; those of all ops add up to 1.
    pub share: Option<f64>,
    /// Thousand million operations a second in the shader, for ops that are sums of products.
    pub gflops: Option<f64>,
    /// Memory throughput of the shader in GB/s, counting the bytes of its bindings.
    pub gbytes_per_second: Option<f64>,
}

/// Times every op; `clock` is taken where the device has it. Returns the clock that was, and the rows.
pub async fn ops(
    device: &Device,
    cpu: &Device,
    step: &Step,
    model: &Model,
    data: &Split,
    options: &TrainOptions,
    clock: Option<Clock>,
) -> Result<(Option<Clock>, Vec<OpReport>)> {
    let graph = &step.graph;
    let contents = contents(step, model, data, options)?;
    let mut shader = match device {
        Device::Cpu(_) => None,
        Device::Gpu(_) => Some(Side::new(device, graph, &contents, clock)?),
    };
    let mut native = Side::new(cpu, graph, &contents, None)?;
    // The first round compiles and warms up.
    for round in 0..=REPETITIONS {
        for side in shader.iter_mut().chain([&mut native]) {
            side.run(round > 0).await?;
        }
    }
    let whole: f64 = shader.iter().map(|side| (0..side.parts.len()).map(|at| side.middle(at)).sum::<f64>()).sum();
    let row = |n: usize| {
        let node = &graph.nodes[n];
        let of = |side: &Side| side.of(n);
        let ms = shader.as_ref().map(|side| of(side).into_iter().map(|at| side.middle(at)).sum::<f64>());
        let infos: Vec<_> = node.x.iter().map(|&x| graph.info(x)).collect();
        let rate = |amount: f64| ms.filter(|ms| amount > 0.0 && *ms > 0.0).map(|ms| amount / ms * 1e-6);
        let bytes = |side: &Side| of(side).into_iter().map(|at| side.parts[at].bytes as f64).sum();
        let on_cpu = native.sums(n);
        OpReport {
            op: node.op.name().into(),
            dispatches: shader.as_ref().map_or(0, |side| of(side).len()),
            shader_ms: ms,
            shader_ms_range: shader.as_ref().and_then(|side| range(&side.sums(n))),
            cpu_ms: median(&on_cpu).unwrap_or(0.0),
            cpu_ms_range: range(&on_cpu).unwrap_or_default(),
            share: ms.filter(|_| whole > 0.0).map(|ms| ms / whole),
            gflops: rate(node.op.flops(&infos) as f64),
            gbytes_per_second: rate(shader.as_ref().map_or(0.0, bytes)),
        }
    };
    // A view has no work, unless its lowering gave it a dispatch.
    let works =
        |n: &usize| !graph.nodes[*n].op.is_view() || shader.as_ref().is_some_and(|side| !side.of(*n).is_empty());
    let rows = (0..graph.nodes.len()).filter(works).map(row).collect();
    Ok((shader.as_ref().map(|side| side.clock), rows))
}

/// The step on one device, with the times of its parts.
struct Side {
    executor: Box<dyn Executor>,
    parts: Vec<Part>,
    clock: Clock,
    /// Milliseconds of each part, one vector a repetition.
    rounds: Vec<Vec<f64>>,
}

impl Side {
    fn new(device: &Device, graph: &Graph, contents: &[(Tensor, Values)], clock: Option<Clock>) -> Result<Side> {
        let mut executor = device.executor(graph, Build { reuse: true, ..Build::default() })?;
        contents.iter().try_for_each(|(tensor, values)| executor.write(*tensor, values))?;
        let clock = clock.unwrap_or(executor.clock());
        Ok(Side { parts: executor.parts(), executor, clock, rounds: Vec::new() })
    }

    /// Times every part once.
    async fn run(&mut self, keep: bool) -> Result<()> {
        let seconds = self.executor.time_parts_by(self.clock).await?;
        if keep {
            self.rounds.push(seconds.into_iter().map(|s| s * 1e3).collect());
        }
        Ok(())
    }

    /// The parts of a node.
    fn of(&self, node: usize) -> Vec<usize> {
        (0..self.parts.len()).filter(|&at| self.parts[at].node == node).collect()
    }

    /// The median of a part, in milliseconds.
    fn middle(&self, at: usize) -> f64 {
        median(&self.rounds.iter().map(|all| all[at]).collect::<Vec<_>>()).unwrap_or(0.0)
    }

    /// Milliseconds of a node in each repetition.
    fn sums(&self, node: usize) -> Vec<f64> {
        let own = self.of(node);
        self.rounds.iter().map(|all| own.iter().map(|&at| all[at]).sum()).collect()
    }
}
