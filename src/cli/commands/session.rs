//! Messages of `wgrad train` and related commands about a run's data and its end.

use crate::cli::terminal::progress::Progress;
use crate::data::Dataset;
use crate::error::Result;
use crate::train::run::RunConfig;
use crate::train::session::{self, Tested};

/// Opens the data and cuts it to the limits.
pub(in crate::cli) fn open_data(config: &RunConfig, progress: &mut Progress) -> Result<Dataset> {
    progress.doing(&format!("opening data set {}", config.data));
    let data = load_data(config, Some(&progress.counter()));
    progress.clear();
    data
}

/// `open_data` without messages except the data's own notice.
pub(in crate::cli) fn load_data(
    config: &RunConfig,
    progress: Option<&(dyn Fn(usize, usize) + Sync)>,
) -> Result<Dataset> {
    let data = session::open_data(config, progress)?;
    if let Some(notice) = &data.notice {
        crate::cli::say(&format!("note: {notice}"));
    }
    Ok(data)
}

/// The number of classes up to which top-5 accuracy is not reported, since it says little.
const FEW_CLASSES: usize = 10;

/// Says what the test set says.
pub(in crate::cli) fn say_tested(tested: &Tested, progress: &mut Progress) {
    let top5 = tested.top5_accuracy.filter(|_| tested.outputs > FEW_CLASSES);
    if let Some(totals) = &tested.totals {
        let (loss, accuracy) = (totals.loss(), totals.accuracy());
        let accuracy = if accuracy.is_nan() { String::new() } else { format!(" - test_accuracy: {accuracy:.4}") };
        let iou = tested.mean_iou.map_or(String::new(), |iou| format!(" - test_mean_iou: {iou:.4}"));
        let top5 = top5.map_or(String::new(), |top5| format!(" - test_top5_accuracy: {top5:.4}"));
        progress.say(&format!("test_loss: {loss:.4}{accuracy}{top5}{iou}"));
    } else if let Some(top5) = top5 {
        progress.say(&format!("val_top5_accuracy: {top5:.4}"));
    }
    if let Some(sheet) = &tested.sheet {
        progress.say(&format!("saved {}: picture, truth and prediction, one row each", sheet.display()));
    }
}
