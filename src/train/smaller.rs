//! What a device can hold of a run that it cannot hold as it was asked for.

use crate::data::Dataset;
use crate::device::Device;
use crate::error::Result;
use crate::model::Model;
use crate::train::pairing::check_data;
use crate::train::settings::options::TrainOptions;
use crate::train::step::Step;
use crate::train::step::window::limit_on;

/// The largest power of two below the options' batch whose steps the device can hold, by its limits or, on the native
/// CPU, by the memory that is free. `None` if there is none. Nothing is allocated on the device.
fn smaller_batch(device: &Device, model: &Model, data: &Dataset, options: &TrainOptions) -> Option<usize> {
    let below = options.batch_size.min(data.train.count + 1).saturating_sub(1);
    let largest = below.checked_ilog2()?;
    (0..=largest).rev().map(|power| 1 << power).find(|&batch| fits(device, model, data, options, batch).is_ok())
}

/// The options with which the device can hold the run: `--recompute` at the same batch, or else a smaller batch. `None` where
/// neither helps, and where size is not what keeps the run from the device.
pub fn what_fits(device: &Device, model: &Model, data: &Dataset, options: &TrainOptions) -> Option<String> {
    if !lacks_memory(device, model, data, options) {
        return None;
    }
    let recomputing = TrainOptions { recompute: true, ..options.clone() };
    match fits(device, model, data, &recomputing, options.batch_size) {
        Ok(()) => Some("--recompute".into()),
        Err(_) => smaller_batch(device, model, data, options).map(|batch| format!("--batch-size {batch}")),
    }
}

/// Whether size is what keeps the run's own steps from the device, and not the data, the model or the options: then a smaller
/// batch may help.
fn lacks_memory(device: &Device, model: &Model, data: &Dataset, options: &TrainOptions) -> bool {
    let sound = options.check().is_ok() && check_data(model, data).is_ok() && options.batch_size <= data.train.count;
    sound && fits(device, model, data, options, options.batch_size).is_err()
}

/// Whether the device can hold the steps of training and of validation at this batch.
fn fits(device: &Device, model: &Model, data: &Dataset, options: &TrainOptions, batch: usize) -> Result<()> {
    let [training, evaluation] = steps(device, model, data, options, batch)?;
    device.check(&[&training.graph, &evaluation.graph])
}

/// The steps of training and of validation at this batch.
fn steps(device: &Device, model: &Model, data: &Dataset, options: &TrainOptions, batch: usize) -> Result<[Step; 2]> {
    let (train, test) = (data.train.count, data.test.count);
    let limit = limit_on(device, &data.train, options.device_data_limit);
    let (options, _) = options.balanced(&data.train, model.classes()?)?;
    let options = TrainOptions { batch_size: batch, device_data_limit: limit, ..options };
    let schema = data.train.schema();
    let training = Step::training_on(model, &schema, train, &options)?;
    let within = limit_on(device, &data.test, limit);
    let evaluation =
        Step::evaluation_by(&options.criterion(), model, &data.test.schema(), test, batch.min(test), within)?;
    Ok([training, evaluation])
}
