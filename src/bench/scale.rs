//! Training throughput by batch size: whether the time of a step grows linearly, and where the device's limits are.

use crate::bench::figures::{Both, Pair, Range};
use crate::bench::runner::{Runner, options, random_data};
use crate::bench::{REPETITIONS, threads};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::train::step::Step;
use serde::Serialize;

/// Steps that the random data lasts for: few, so that large batches leave room for what they are about.
const STEPS: usize = 4;

/// The table.
#[derive(Clone, Debug, Serialize)]
pub struct ScaleReport {
    /// The device.
    pub device: String,
    /// The model.
    pub model: String,
    /// Threads of the native CPU.
    pub cpu_threads: usize,
    /// A row for each batch size, in the requested order.
    pub rows: Vec<ScaleRow>,
}

/// One batch size.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ScaleRow {
    /// Samples of a step.
    pub batch_size: usize,
    /// Wall time of a step, with many steps per submit: the median.
    pub step_ms: Pair,
    /// The fastest and the slowest repetition.
    pub step_ms_range: Pair<Range>,
    /// Images of a step by that time.
    pub images_per_second: Pair,
    /// The memory of all buffers.
    pub memory_bytes: Pair<u64>,
    /// Why there are no figures: the limit that the batch passes.
    pub limit: Pair<String>,
}

/// Times a training step of `model` at each batch size on a device, and on the native CPU `cpu` in turn.
///
/// # Errors
/// Those of the model and the device; a batch that is beyond a limit is a row that says so.
pub async fn scale(device: &Device, cpu: &Device, model: &Model, batches: &[usize]) -> Result<ScaleReport> {
    if batches.contains(&0) {
        return Err(Error::input("batch size 0: at least 1 is expected"));
    }
    let mut rows = Vec::new();
    for &batch in batches {
        rows.push(row(device, cpu, model, batch).await?);
    }
    Ok(ScaleReport { device: device.name(), model: model.name.clone(), cpu_threads: threads(cpu), rows })
}

async fn row(device: &Device, cpu: &Device, model: &Model, batch: usize) -> Result<ScaleRow> {
    let is_gpu = matches!(device, Device::Gpu(_));
    let mut row = ScaleRow { batch_size: batch, ..ScaleRow::default() };
    let mut shader = match is_gpu {
        true => within(start(device, model, batch).await, &mut row.limit.shader)?,
        false => None,
    };
    let mut native = within(start(cpu, model, batch).await, &mut row.limit.cpu)?;
    let mut times = Both::default();
    for _ in 0..REPETITIONS {
        if let Some(runner) = &mut shader {
            times.shader.push(runner.milliseconds().await?);
        }
        if let Some(runner) = &mut native {
            times.cpu.push(runner.milliseconds().await?);
        }
    }
    let rate = |ms: f64| batch as f64 / ms * 1e3;
    row.step_ms = times.median();
    row.step_ms_range = times.range();
    row.images_per_second = Pair { shader: row.step_ms.shader.map(rate), cpu: row.step_ms.cpu.map(rate) };
    row.memory_bytes = Pair { shader: shader.as_ref().map(Runner::bytes), cpu: native.as_ref().map(Runner::bytes) };
    Ok(row)
}

async fn start(device: &Device, model: &Model, batch: usize) -> Result<Runner> {
    let (data, options) = (random_data(model, batch, STEPS)?, options(batch));
    let step = Step::training_on(model, &data.train.schema(), data.train.count, &options)?;
    Runner::new(device, &step, model, &data.train, &options).await
}

/// A refusal because of the batch's size goes into the row; whatever else fails ends the table.
fn within(started: Result<Runner>, limit: &mut Option<String>) -> Result<Option<Runner>> {
    match started {
        Ok(runner) => Ok(Some(runner)),
        Err(Error::Input(why)) => {
            *limit = Some(short(&why));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// An error's first clause.
fn short(why: &str) -> String {
    why.split([';', '\n']).next().unwrap_or_default().trim().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_in_short() {
        for (why, expected) in [
            (
                "a buffer of 9 GiB is needed, 2 are allowed; a smaller batch may fit",
                "a buffer of 9 GiB is needed, 2 are allowed",
            ),
            ("one\ntwo", "one"),
            ("", ""),
        ] {
            assert_eq!(short(why), expected);
        }
    }

    #[test]
    fn whatever_is_no_limit_ends_the_table() {
        let mut limit = None;
        assert!(within(Err(Error::failed("lost")), &mut limit).is_err() && limit.is_none());
        assert!(matches!(within(Err(Error::input("too large; a")), &mut limit), Ok(None)));
        assert_eq!(limit.as_deref(), Some("too large"));
    }
}
