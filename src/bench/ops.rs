//! A row for every op of a step's graph: its dispatches on the adapter, its fast form on the native CPU.

use crate::bench::REPETITIONS;
use crate::bench::figures::{Range, median, range};
use crate::bench::runner::contents;
use crate::data::Split;
use crate::device::Device;
use crate::device::cpu::Executor as NativeExecutor;
use crate::device::gpu::executor::Executor;
use crate::device::gpu::timing::Clock;
use crate::device::gpu::{class_of, limits_of};
use crate::error::Result;
use crate::model::Model;
use crate::plan::Plan;
use crate::plan::lower::{Target, lower};
use crate::train::settings::options::TrainOptions;
use crate::train::step::Step;
use serde::Serialize;
use std::time::Instant;

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
    /// Thousand million bytes a second that the shader's bindings hold.
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
    let timed = match device {
        Device::Cpu(_) => None,
        Device::Gpu(gpu) => {
            let plan = lower(graph, Target { class: class_of(gpu), limits: limits_of(gpu), reuse: true })?;
            let executor = Executor::new(gpu.clone(), plan, None, false)?;
            for (tensor, values) in &contents {
                executor.write(*tensor, values.bytes())?;
            }
            let clock = clock.unwrap_or(executor.clock());
            Some((executor, clock))
        }
    };
    let mut native = NativeExecutor::<f32>::new(graph.clone(), true)?;
    for (tensor, values) in contents {
        native.set(tensor, values)?;
    }
    // Milliseconds of each dispatch and of each node, one vector a repetition.
    let (mut dispatches, mut nodes) = (Vec::new(), Vec::new());
    // The first round compiles and warms up.
    for round in 0..=REPETITIONS {
        if let Some((executor, clock)) = &timed {
            let seconds = executor.time_dispatches(*clock).await?;
            (round > 0).then(|| dispatches.push(seconds.iter().map(|s| s * 1e3).collect::<Vec<f64>>()));
        }
        let all = (0..graph.nodes.len()).map(|n| {
            let begun = Instant::now();
            match cpu {
                Device::Cpu(pool) => pool.install(|| native.run(n)),
                Device::Gpu(_) => native.run(n),
            }
            begun.elapsed().as_secs_f64() * 1e3
        });
        let all: Vec<f64> = all.collect();
        (round > 0).then(|| nodes.push(all));
    }
    let plan = timed.as_ref().map(|(executor, _)| executor.plan());
    let of = |n: usize| -> Vec<usize> {
        let all = plan.into_iter().flat_map(|plan| plan.dispatches.iter().enumerate());
        all.filter(|(_, d)| d.node == n).map(|(at, _)| at).collect()
    };
    let middle = |at: usize| median(&dispatches.iter().map(|all| all[at]).collect::<Vec<_>>()).unwrap_or(0.0);
    let whole: f64 = plan.map_or(0.0, |plan| (0..plan.dispatches.len()).map(middle).sum());
    let row = |n: usize| {
        let node = &graph.nodes[n];
        let own = of(n);
        let shader = plan.map(|_| own.iter().map(|&at| middle(at)).sum::<f64>());
        let sums: Vec<f64> = dispatches.iter().map(|all| own.iter().map(|&at| all[at]).sum()).collect();
        let on_cpu: Vec<f64> = nodes.iter().map(|all| all[n]).collect();
        let infos: Vec<_> = node.x.iter().map(|&x| graph.info(x)).collect();
        let rate = |amount: f64| shader.filter(|ms| amount > 0.0 && *ms > 0.0).map(|ms| amount / ms * 1e-6);
        OpReport {
            op: node.op.name().into(),
            dispatches: own.len(),
            shader_ms: shader,
            shader_ms_range: range(&sums),
            cpu_ms: median(&on_cpu).unwrap_or(0.0),
            cpu_ms_range: range(&on_cpu).unwrap_or_default(),
            share: shader.filter(|_| whole > 0.0).map(|ms| ms / whole),
            gflops: rate(node.op.flops(&infos) as f64),
            gbytes_per_second: rate(plan.map_or(0.0, |plan| bound_bytes(plan, &own))),
        }
    };
    // A view has no work, unless its lowering gave it a dispatch.
    let rows = (0..graph.nodes.len()).filter(|&n| !graph.nodes[n].op.is_view() || !of(n).is_empty()).map(row).collect();
    Ok((timed.as_ref().map(|(_, clock)| *clock), rows))
}

/// Bytes of everything that some dispatches bind, the data set apart.
fn bound_bytes(plan: &Plan, dispatches: &[usize]) -> f64 {
    let bindings = dispatches.iter().flat_map(|&at| &plan.dispatches[at].bindings);
    let places = bindings.filter_map(|(_, t)| plan.places[t.index()]);
    places.filter(|p| plan.buffers[p.buffer].role != crate::ir::graph::Role::Data).map(|p| p.bytes as f64).sum()
}
