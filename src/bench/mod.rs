//! Shader and CPU timings of a training step, side by side: interleaved repetitions, medians and their spread.

pub mod figures;
pub mod first_step;
pub mod matmul;
pub mod ops;
pub mod processes;
mod runner;
pub mod scale;

use crate::device::Device;
use crate::device::gpu::timing::Clock;
use crate::error::Result;
use crate::model::Model;
use crate::train::epochs::trainer::Trainer;
use crate::train::settings::options::TrainOptions;
use crate::train::step::Step;
use figures::{Both, Pair, Range, median};
use ops::OpReport;
use runner::{Runner, epoch, options, random_data};
use serde::Serialize;
use std::time::Instant;

/// Repetitions of each measurement, in turn with those that it is compared with.
pub const REPETITIONS: usize = 7;

/// Repetitions of whole epochs.
const EPOCHS: usize = 5;

/// Steps that the random data of a benched step lasts for.
pub(crate) const DATA_STEPS: usize = 50;

/// The result of a bench.
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
    /// Wall time of a step, with many steps per submit: the median.
    pub step_ms: Pair,
    /// The fastest and the slowest repetition.
    pub step_ms_range: Pair<Range>,
    /// Training throughput in images per second over a whole epoch, including the read-back of metrics: the median.
    pub images_per_second: Pair,
    /// The slowest and the fastest epoch.
    pub images_per_second_range: Pair<Range>,
    /// Images of such an epoch.
    pub epoch_images: Pair<usize>,
    /// Seconds from the graph to the first step's record in this process: buffers, pipelines, compilation.
    pub build_seconds: f64,
    /// Milliseconds of host time to submit one step.
    pub submit_ms: Option<f64>,
    /// Milliseconds to read the log of steps back from an idle adapter.
    pub read_back_ms: Option<f64>,
    /// The clock of the ops' times on the adapter.
    pub op_clock: Option<Clock>,
    /// The ops.
    pub ops: Vec<OpReport>,
    /// The memory of all buffers on the device.
    pub memory_bytes: u64,
}

/// Times a training step of `model` on a device, and on the native CPU `cpu` in turn; ops by the device's clock where
/// it has one and `clock` does not name another.
pub async fn step(device: &Device, cpu: &Device, model: &Model, batch: usize, clock: Option<Clock>) -> Result<Report> {
    let data = random_data(model, batch, DATA_STEPS)?;
    let options = options(batch);
    let step = Step::training_on(model, &data.train.schema(), data.train.count, &options)?;
    let begun = Instant::now();
    let mut runner = Runner::new(device, &step, model, &data.train, &options).await?;
    let build_seconds = begun.elapsed().as_secs_f64();
    let memory_bytes = runner.bytes();
    let is_gpu = matches!(device, Device::Gpu(_));
    let mut other = match is_gpu {
        true => Some(Runner::new(cpu, &step, model, &data.train, &options).await?),
        false => None,
    };

    let (mut times, mut submit, mut read_back) = (Both::default(), Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        match &mut other {
            None => times.cpu.push(runner.milliseconds().await?),
            Some(native) => {
                times.shader.push(runner.milliseconds().await?);
                let [there, back] = runner.host_milliseconds().await?;
                submit.push(there);
                read_back.push(back);
                times.cpu.push(native.milliseconds().await?);
            }
        }
    }
    // What follows has buffers of its own.
    drop((runner, other));
    let (op_clock, ops) = ops::ops(device, cpu, &step, model, &data.train, &options, clock).await?;
    drop(data);
    let step_ms = times.median();
    let (epochs, epoch_images) = epochs(device, cpu, model, &options, step_ms).await?;
    Ok(Report {
        device: device.name(),
        model: model.name.clone(),
        batch_size: batch,
        cpu_threads: threads(cpu),
        step_ms,
        step_ms_range: times.range(),
        images_per_second: epochs.median(),
        images_per_second_range: epochs.range(),
        epoch_images,
        build_seconds,
        submit_ms: median(&submit),
        read_back_ms: median(&read_back),
        op_clock,
        ops,
        memory_bytes,
    })
}

/// Threads of the native CPU; 0 for an adapter.
pub fn threads(device: &Device) -> usize {
    match device {
        Device::Cpu(pool) => pool.current_num_threads(),
        Device::Gpu(_) => 0,
    }
}

/// Images a second of whole epochs as `wgrad train` runs them, of about half a second each; and their images.
async fn epochs(
    device: &Device,
    cpu: &Device,
    model: &Model,
    options: &TrainOptions,
    step_ms: Pair,
) -> Result<(Both, Pair<usize>)> {
    let trainer = |device: &Device, ms: f64| -> Result<(Trainer, usize)> {
        let data = random_data(model, options.batch_size, (500.0 / ms).clamp(10.0, 469.0) as usize)?;
        let options = TrainOptions { epochs: EPOCHS + 1, ..options.clone() };
        Ok((Trainer::new(device, model, &data, &options, None)?, data.train.count))
    };
    let mut shader = step_ms.shader.map(|ms| trainer(device, ms)).transpose()?;
    let mut native = step_ms.cpu.map(|ms| trainer(cpu, ms)).transpose()?;
    let images = Pair { shader: shader.as_ref().map(|s| s.1), cpu: native.as_ref().map(|n| n.1) };
    let mut rates = Both::default();
    // The first round compiles and warms up.
    for round in 0..=EPOCHS {
        for (side, all) in [(&mut shader, &mut rates.shader), (&mut native, &mut rates.cpu)] {
            let Some((trainer, _)) = side else { continue };
            let metrics = epoch(trainer).await?;
            (round > 0).then(|| all.push(metrics.images_per_second));
        }
    }
    Ok((rates, images))
}
