//! A run between its folder and the loop: its data, what it leaves at the end, and how it is gone on with.

use crate::cli::terminal::progress::Progress;
use crate::data::Dataset;
use crate::data::ReadOptions;
use crate::data::pictures::mask;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::train::epochs::evaluator::Totals;
use crate::train::epochs::trainer::Trainer;
use crate::train::run::{RunConfig, RunFolder};
use crate::train::step::window::WINDOW_BYTES;
use std::path::Path;

/// The sheet of masks in a run folder.
pub(in crate::cli) const SHEET: &str = "segmentation.png";

/// A run that is about to go on.
pub(in crate::cli) struct Session {
    pub(in crate::cli) config: RunConfig,
    pub(in crate::cli) model: Model,
    pub(in crate::cli) data: Dataset,
    pub(in crate::cli) device: Device,
    #[cfg_attr(not(feature = "watch"), expect(dead_code))]
    pub(in crate::cli) device_json: String,
    pub(in crate::cli) trainer: Trainer,
    pub(in crate::cli) folder: RunFolder,
}

/// Opens the data and cuts it to the limits.
pub(in crate::cli) fn open_data(config: &RunConfig, progress: &mut Progress) -> Result<Dataset> {
    progress.doing(&format!("opening data set {}", config.data));
    let data = load_data(config, Some(&progress.counter()));
    progress.clear();
    data
}

/// `open_data` without a word but to `progress`.
pub(in crate::cli) fn load_data(
    config: &RunConfig,
    progress: Option<&(dyn Fn(usize, usize) + Sync)>,
) -> Result<Dataset> {
    let (size, channels, strict) = (config.image_size, config.image_channels, config.strict_data);
    let hold_bytes = Some(config.train.device_data_limit.unwrap_or(WINDOW_BYTES));
    let options = ReadOptions { size, channels, strict, hold_bytes, progress };
    let mut data = Dataset::open_with(&config.data, &options)?;
    if let Some(notice) = &data.notice {
        eprintln!("note: {notice}");
    }
    if let Some(limit) = config.train_limit {
        data.train.truncate(limit)?;
    }
    if let Some(limit) = config.test_limit {
        data.test.truncate(limit)?;
    }
    Ok(data)
}

/// Writes what the test set says at the end: its loss and accuracy, where every epoch was validated on other data, and a
/// sheet of the masks of a model that makes some.
pub(in crate::cli) fn test(
    trainer: &mut Trainer,
    folder: &RunFolder,
    model: &Model,
    data: &Dataset,
    progress: &mut Progress,
) -> Result<Option<Totals>> {
    let totals = pollster::block_on(trainer.test())?;
    if let Some(totals) = &totals {
        folder.test(totals)?;
        let (loss, accuracy) = (totals.loss(), totals.accuracy());
        progress.say(&format!("test_loss: {loss:.4} - test_accuracy: {accuracy:.4}"));
    }
    if model.is_segmentation()? {
        let (masks, _, _) = pollster::block_on(trainer.test_masks())?;
        folder.picture(SHEET, &mask::sheet(&data.test, &masks)?)?;
        let path = folder.path().join(SHEET);
        progress.say(&format!("saved {}: image, truth and prediction, a row each", path.display()));
    }
    Ok(totals)
}

/// The error of a run that has begun, with the last good checkpoint and the command that goes on from it.
pub(in crate::cli) fn with_way_on(error: Error, run: &Path, good: Option<(&Path, Option<u64>)>) -> Error {
    let (Error::Failed(why), Some((path, step))) = (&error, good) else { return error };
    let step = step.map_or(String::new(), |step| format!(" (step {step})"));
    let (path, command) = (path.display(), resume_command(run));
    Error::failed(format!("{why}; the last good checkpoint is {path}{step}, and {command} goes on from it"))
}

/// What to type to go on with a run.
pub(in crate::cli) fn resume_command(run: &Path) -> String {
    let run = run.display().to_string();
    let plain = run.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-\\:".contains(&byte));
    let quoted = if plain { run } else { format!("'{}'", run.replace('\'', r"'\''")) };
    format!("wgrad train --resume {quoted}")
}
