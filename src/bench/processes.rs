//! Training throughput of several processes: what they make together of what each makes alone, and what the exchange takes.

use crate::bench::REPETITIONS;
use crate::bench::figures::{Range, median, range};
use crate::bench::runner::{epoch, options, random_data};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::processes::Communicator;
use crate::train::epochs::trainer::Trainer;
use crate::train::settings::options::TrainOptions;
use serde::Serialize;
use std::sync::Arc;

/// Updates of an epoch.
const UPDATES: usize = 8;

/// The table.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessesReport {
    /// The device of the first process.
    pub device: String,
    /// The model.
    pub model: String,
    /// How many processes there are.
    pub processes: usize,
    /// Bytes that a process sends for an update: its gradients in slices, and its slice of their sum.
    pub update_bytes: usize,
    /// A row for each batch size, in the requested order.
    pub rows: Vec<ProcessesRow>,
}

/// One batch size.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessesRow {
    /// Samples of a step, in each process.
    pub batch_size: usize,
    /// Samples a second of all processes, each training by itself at the same time: the median.
    pub alone_per_second: f64,
    /// The slowest and the fastest repetition.
    pub alone_range: Range,
    /// Samples a second of all processes together.
    pub together_per_second: f64,
    /// The slowest and the fastest repetition.
    pub together_range: Range,
    /// Milliseconds of an update.
    pub update_ms: f64,
    /// Milliseconds of them in which the first process exchanged, or waited for others.
    pub exchange_ms: f64,
    /// What they make together of what they make alone.
    pub efficiency: f64,
}

/// Times training at each batch size, in each process by itself and in all together, in turn. All processes call it.
///
/// # Errors
/// Those of the model, the device and the exchange.
pub async fn processes(
    device: &Device,
    others: &Arc<dyn Communicator>,
    model: &Model,
    batches: &[usize],
) -> Result<ProcessesReport> {
    let (size, mut rows, mut update_bytes) = (others.size(), Vec::new(), 0);
    for &batch in batches {
        let epochs = REPETITIONS + 1;
        let options = TrainOptions { epochs, ..options(batch) };
        let data = random_data(model, batch, UPDATES * size)?;
        if data.train.count < batch * size {
            return Err(Error::input(format!("batch size {batch}: expected smaller batches for {size} processes")));
        }
        let mut alone = Trainer::new(device, model, &data, &options, None)?;
        let options = TrainOptions { accumulate: size as u32, ..options };
        let mut together = Trainer::new(device, model, &data, &options, None)?;
        let updates = together.goal().per_epoch.div_ceil(size as u64) as f64;
        // Of all parts but its own.
        update_bytes = 2 * together.gradient_bytes() * (size - 1) / size;
        together.join(device, others.clone()).await?;
        let (mut apart, mut joined, mut exchange) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..epochs {
            // None begins before all are there.
            others.all_gather(&[0])?;
            let rate = epoch(&mut alone).await?.images_per_second;
            let rates = others.all_gather(&rate.to_le_bytes())?;
            let before = together.exchange_seconds();
            let metrics = epoch(&mut together).await?;
            let waited = together.exchange_seconds() - before;
            // The first round compiles and warms up.
            if round > 0 {
                apart.push(rates.chunks_exact(8).map(bytemuck::pod_read_unaligned::<f64>).sum());
                joined.push(metrics.images_per_second);
                exchange.push(waited / updates * 1e3);
            }
        }
        let middle = |all: &[f64]| median(all).unwrap_or(f64::NAN);
        let [alone, together, exchange_ms] = [&apart, &joined, &exchange].map(|all| middle(all));
        rows.push(ProcessesRow {
            batch_size: batch,
            alone_per_second: alone,
            alone_range: range(&apart).unwrap_or_default(),
            together_per_second: together,
            together_range: range(&joined).unwrap_or_default(),
            update_ms: data.train.count as f64 / together / updates * 1e3,
            exchange_ms,
            efficiency: together / alone,
        });
    }
    Ok(ProcessesReport { device: device.name(), model: model.name.clone(), processes: size, update_bytes, rows })
}
