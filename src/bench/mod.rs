//! Shader and CPU timings of a training step, side by side: interleaved repetitions, medians and their spread.

pub mod matmul;

use crate::control::pcg;
use crate::cpu::Executor as NativeExecutor;
use crate::data::{Dataset, Split};
use crate::device::Device;
use crate::error::Result;
use crate::gpu::executor::Executor;
use crate::gpu::{class_of, limits_of};
use crate::lower::{Target, lower};
use crate::model::Model;
use crate::plan::Plan;
use crate::train::engine::Engine;
use crate::train::options::TrainOptions;
use crate::train::step::{LOG_CAPACITY, Step};
use crate::train::trainer::Trainer;
use crate::values::Values;
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::Instant;

/// Repetitions of each measurement, in turn with those that it is compared with.
const REPETITIONS: usize = 7;

/// A figure of the shaders and the same of the native CPU; `None` where it was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pair {
    /// On the adapter.
    pub shader: Option<f64>,
    /// On the native CPU.
    pub cpu: Option<f64>,
}

/// One op of the graph; times are medians, for one step.
#[derive(Clone, Debug, Serialize)]
pub struct OpReport {
    /// The op.
    pub op: String,
    /// Its dispatches.
    pub dispatches: usize,
    /// Milliseconds of its dispatches, by the device's clock.
    pub shader_ms: Option<f64>,
    /// Milliseconds of the CPU's fast form on tensors of the same sizes.
    pub cpu_ms: f64,
    /// Thousand million operations a second in the shader, for ops that are sums of products.
    pub gflops: Option<f64>,
    /// Thousand million bytes a second that the shader's bindings hold.
    pub gbytes_per_second: Option<f64>,
}

/// What a bench found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The device.
    pub device: String,
    /// The model.
    pub model: String,
    /// Samples of a step.
    pub batch_size: usize,
    /// Threads of the native CPU.
    pub cpu_threads: usize,
    /// Wall time of a step, many steps a submit: the median.
    pub step_ms: Pair,
    /// The fastest and the slowest repetition.
    pub step_ms_range: [Pair; 2],
    /// Training images a second over a whole epoch.
    pub images_per_second: Pair,
    /// Seconds from the graph to the first step's record: buffers, pipelines, compilation.
    pub first_step_seconds: f64,
    /// The ops.
    pub ops: Vec<OpReport>,
    /// The memory of all buffers.
    pub memory_bytes: u64,
}

/// Times a training step of `model` on a device, and on the native CPU `cpu` in turn.
pub async fn step(device: &Device, cpu: &Device, model: &Model, batch: usize) -> Result<Report> {
    let data = synthetic(model, batch)?;
    let options = TrainOptions { batch_size: batch, epochs: 1, ..TrainOptions::default() };
    let step = Step::training(model, data.train.count, batch, true, &options.optimizer())?;
    let begun = Instant::now();
    let mut runner = Runner::new(device, &step, model, &data.train, &options)?;
    runner.steps(1).await?;
    let first_step_seconds = begun.elapsed().as_secs_f64();
    let mut native = Runner::new(cpu, &step, model, &data.train, &options)?;
    native.steps(1).await?;

    let is_gpu = matches!(device, Device::Gpu(_));
    let (mut on_device, mut on_cpu) = (Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        if is_gpu {
            on_device.push(runner.milliseconds().await?);
        }
        on_cpu.push(native.milliseconds().await?);
    }
    let pair = |at: fn(&[f64]) -> Option<f64>| Pair { shader: at(&on_device), cpu: at(&on_cpu) };
    let images_per_second = Pair {
        shader: if is_gpu { Some(epoch(device, model, &data, &options).await?) } else { None },
        cpu: Some(epoch(cpu, model, &data, &options).await?),
    };
    Ok(Report {
        device: device.name(),
        model: model.name.clone(),
        batch_size: batch,
        cpu_threads: threads(cpu),
        step_ms: pair(median),
        step_ms_range: [
            pair(|times| times.iter().copied().reduce(f64::min)),
            pair(|times| times.iter().copied().reduce(f64::max)),
        ],
        images_per_second,
        first_step_seconds,
        ops: ops(device, cpu, &step, model, &data.train, &options).await?,
        memory_bytes: runner.engine.bytes(),
    })
}

/// The middle one of an odd number of figures.
pub fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// Threads of the native CPU; 0 for an adapter.
pub fn threads(device: &Device) -> usize {
    match device {
        Device::Cpu(pool) => pool.current_num_threads(),
        Device::Gpu(_) => 0,
    }
}

/// A step's engine with data and weights in it.
struct Runner {
    engine: Engine,
    chunk: u32,
}

impl Runner {
    fn new(device: &Device, step: &Step, model: &Model, data: &Split, options: &TrainOptions) -> Result<Self> {
        let mut engine = Engine::new(device, step.graph.clone(), step.log)?;
        engine.write_all(contents(step, model, data, options)?)?;
        Ok(Runner { engine, chunk: 1 })
    }

    async fn steps(&mut self, steps: u32) -> Result<()> {
        self.engine.submit(steps)?;
        self.engine.collect().await.map(drop)
    }

    /// Milliseconds of a step, in submits that take about 200 ms.
    async fn milliseconds(&mut self) -> Result<f64> {
        let begun = Instant::now();
        self.steps(self.chunk).await?;
        let each = begun.elapsed().as_secs_f64() / f64::from(self.chunk);
        self.chunk = ((0.2 / each) as u32).clamp(1, LOG_CAPACITY as u32);
        Ok(each * 1e3)
    }
}

/// What a step's tensors hold at the start: data, control block, first weights.
fn contents(
    step: &Step,
    model: &Model,
    data: &Split,
    options: &TrainOptions,
) -> Result<Vec<(crate::graph::Tensor, Values)>> {
    let control = step.start(0, options.rate(), options.optimizer().betas());
    let mut contents = Vec::from(step.data(data));
    contents.push((step.control, Values::Word(control.words())));
    let weights = crate::model::init::glorot_uniform(model, 0)?.to_graph(&step.graph)?;
    contents.extend(weights.into_iter().map(|(tensor, values)| (tensor, Values::Float(values))));
    Ok(contents)
}

/// Images a second of one epoch as `wgrad train` runs it.
async fn epoch(device: &Device, model: &Model, data: &Dataset, options: &TrainOptions) -> Result<f64> {
    // The second epoch: nothing is compiled within it.
    let options = TrainOptions { epochs: 2, ..options.clone() };
    let mut trainer = Trainer::new(device, model, data, &options, None)?;
    let metrics = trainer.fit(|_| ControlFlow::Continue(())).await?;
    Ok(metrics.last().map_or(0.0, |m| m.images_per_second))
}

/// Random images and labels: fifty steps of them, or as many as fit a small binding.
fn synthetic(model: &Model, batch: usize) -> Result<Dataset> {
    let pixels: usize = model.input.iter().product();
    let count = (batch * 50).min((64 << 20) / pixels).max(batch);
    let classes = model.classes()?.min(256) as u32;
    let random = |i: usize| pcg(i as u32);
    let split = |count: usize| {
        let labels = (0..count).map(|i| (random(i) % classes) as u8).collect();
        Split::new(model.input, (0..count * pixels).map(|i| random(i) as u8).collect(), labels)
    };
    Dataset::new("random", split(count)?, split(batch)?)
}

/// A row for every op that does something.
async fn ops(
    device: &Device,
    cpu: &Device,
    step: &Step,
    model: &Model,
    data: &Split,
    options: &TrainOptions,
) -> Result<Vec<OpReport>> {
    let graph = &step.graph;
    let contents = contents(step, model, data, options)?;
    let timed = match device {
        Device::Cpu(_) => None,
        Device::Gpu(gpu) => {
            let plan = lower(graph, Target { class: class_of(gpu), limits: limits_of(gpu), reuse: true })?;
            let executor = Executor::new(gpu.clone(), plan.clone(), None, false)?;
            for (tensor, values) in &contents {
                executor.write(*tensor, values.bytes())?;
            }
            executor.has_timestamps().then_some((executor, plan))
        }
    };
    let mut native = NativeExecutor::<f32>::new(graph.clone(), true)?;
    for (tensor, values) in contents {
        native.set(tensor, values)?;
    }
    let (mut shader_ms, mut cpu_ms) = (vec![Vec::new(); graph.nodes.len()], vec![Vec::new(); graph.nodes.len()]);
    // The first round compiles and warms up.
    for round in 0..=REPETITIONS {
        if let Some((executor, plan)) = &timed {
            let seconds = executor.time_dispatches().await?;
            let mut sums = vec![0.0; graph.nodes.len()];
            plan.dispatches.iter().zip(seconds).for_each(|(d, s)| sums[d.node] += s * 1e3);
            (round > 0).then(|| shader_ms.iter_mut().zip(sums).for_each(|(all, ms)| all.push(ms)));
        }
        for (n, all) in cpu_ms.iter_mut().enumerate() {
            let begun = Instant::now();
            match cpu {
                Device::Cpu(pool) => pool.install(|| native.run(n)),
                Device::Gpu(_) => native.run(n),
            }
            (round > 0).then(|| all.push(begun.elapsed().as_secs_f64() * 1e3));
        }
    }
    let plan = timed.as_ref().map(|(_, plan)| plan);
    let row = |n: usize| {
        let node = &graph.nodes[n];
        let infos: Vec<_> = node.x.iter().map(|&x| graph.info(x)).collect();
        let shader = median(&shader_ms[n]);
        let flops = node.op.flops(&infos) as f64;
        let rate = |amount: f64| shader.filter(|ms| amount > 0.0 && *ms > 0.0).map(|ms| amount / ms * 1e-6);
        OpReport {
            op: node.op.name().into(),
            dispatches: plan.map_or(0, |plan| plan.dispatches.iter().filter(|d| d.node == n).count()),
            shader_ms: shader,
            cpu_ms: median(&cpu_ms[n]).unwrap_or(0.0),
            gflops: rate(flops),
            gbytes_per_second: rate(plan.map_or(0.0, |plan| bound_bytes(plan, n))),
        }
    };
    Ok((0..graph.nodes.len()).filter(|&n| !graph.nodes[n].op.is_view()).map(row).collect())
}

/// Bytes of everything that the dispatches of a node bind, the data set apart.
fn bound_bytes(plan: &Plan, node: usize) -> f64 {
    let bindings = plan.dispatches.iter().filter(|d| d.node == node).flat_map(|d| &d.bindings);
    let places = bindings.filter_map(|(_, t)| plan.places[t.index()]);
    places.filter(|p| plan.buffers[p.buffer].role != crate::graph::Role::Data).map(|p| p.bytes as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (figures, middle) in [(&[][..], None), (&[3.0], Some(3.0)), (&[9.0, 1.0, 4.0], Some(4.0))] {
            assert_eq!(median(figures), middle);
        }
    }
}
