//! The flags of the loss.

use crate::train::settings::loss::LossName;
use crate::train::settings::options::TrainOptions;
use clap::Args;

/// What a run makes smaller.
#[derive(Debug, Args)]
pub struct LossArgs {
    /// Loss [default: softmax]
    #[arg(long, value_enum, value_name = "L", conflicts_with = "resume")]
    loss: Option<LossName>,
    /// With --loss softmax: the part of a label that is spread over all classes [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true, conflicts_with = "resume")]
    label_smoothing: Option<f64>,
    /// With --loss softmax: what each class weighs, such as 0.2,1,1
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', allow_negative_numbers = true, conflicts_with = "resume")]
    class_weights: Option<Vec<f64>>,
}

impl LossArgs {
    /// Sets what flags say over what a file said.
    pub(in crate::cli) fn set(&self, train: &mut TrainOptions) {
        if let Some(loss) = self.loss.filter(|loss| *loss != train.loss) {
            // What the file says beside it belongs to its own loss.
            (train.loss, train.label_smoothing, train.class_weights) = (loss, 0.0, Vec::new());
        }
        train.label_smoothing = self.label_smoothing.unwrap_or(train.label_smoothing);
        if let Some(weights) = &self.class_weights {
            train.class_weights.clone_from(weights);
        }
    }
}
