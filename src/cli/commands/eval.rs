//! `wgrad eval`: loss, accuracy and confusion matrix of a stored model on a test set.

use crate::cli::{DeviceArgs, print};
use crate::data::Dataset;
use crate::data::ReadOptions;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::formats::weights::Weights;
use crate::train::epochs::confusion::{Confusion, MOST_CLASSES, argmax};
use crate::train::epochs::evaluator::Evaluator;
use crate::train::epochs::trainer::check_data;
use crate::train::step::window::WINDOW_BYTES;
use clap::Args;
use std::path::PathBuf;

/// Evaluate a stored model on the test set
///
/// The loss is softmax cross-entropy, whatever the model was trained by.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wgrad eval runs/mnist-cnn/1/model.safetensors")]
pub struct EvalArgs {
    /// The weights; those that wgrad wrote describe their model
    file: PathBuf,
    /// mnist, a CSV file, or a folder: CIFAR-10 binary, x_train.npy and so on, four IDX files, images with a folder a
    /// class, or CSV
    #[arg(long, default_value = "mnist", value_name = "mnist|DIR|FILE.csv")]
    data: String,
    /// A preset or a model file, for weights from elsewhere
    #[arg(long, value_name = "NAME|FILE.toml")]
    model: Option<String>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print JSON alone
    #[arg(long)]
    json: bool,
}

/// Evaluates and prints.
pub fn run(args: EvalArgs) -> Result<()> {
    let (described, weights) = Weights::load(&args.file)?;
    let size = described.as_ref().map(|model| [model.input[0], model.input[1]]);
    let channels = described.as_ref().map(|model| model.input[2]).filter(|channels| [1, 3].contains(channels));
    let options = ReadOptions { size, channels, hold_bytes: Some(WINDOW_BYTES), ..ReadOptions::default() };
    let data = Dataset::open_with(&args.data, &options)?;
    if let Some(notice) = &data.notice {
        eprintln!("note: {notice}");
    }
    let model = match (&args.model, described) {
        (Some(spec), _) => Model::named_or_file(spec, data.test.shape(), data.classes)?,
        (None, Some(model)) => model,
        (None, None) => {
            let file = args.file.display();
            return Err(Error::input(format!("{file}: it does not describe its model; --model is expected")));
        }
    };
    weights.check_against(&model).map_err(|e| Error::input(format!("{}: {e}", args.file.display())))?;
    check_data(&model, &data)?;
    let (device, _) = args.device.open()?;
    let mut evaluator = Evaluator::new(&device, &model, &data.test, 128)?;
    crate::cli::note(&device);
    evaluator.set_weights(&weights)?;
    let classes = model.classes()?;
    if model.is_segmentation()? {
        return by_pixel(&mut evaluator, &model, args.json);
    }
    let mut predicted = Vec::with_capacity(data.test.count);
    let totals = pollster::block_on(evaluator.run_each(|logits| {
        predicted.push(argmax(logits));
        Ok(())
    }))?;
    let (loss, accuracy, samples) = (totals.loss(), totals.accuracy(), totals.samples());
    let mut found = serde_json::json!({ "loss": loss, "accuracy": accuracy, "samples": samples });
    let mut text = format!("loss: {loss:.4} - accuracy: {accuracy:.4} - {samples} samples\n");
    if classes > MOST_CLASSES {
        eprintln!("note: {classes} classes are too many for a confusion matrix");
    } else {
        let confusion = Confusion::from_predictions(classes, &data.test.labels(), &predicted)?;
        let names: Vec<String> = (0..classes).map(|class| model.class_name(class)).collect();
        text += &format!("\n{}", confusion.table(|class| names[class].clone()));
        found["confusion"] = serde_json::json!(confusion.rows());
        found["per_class"] = serde_json::json!(confusion.scores());
        found["classes"] = serde_json::json!(names);
    }
    print(&if args.json { format!("{found}\n") } else { text })
}

/// What a model that tells the class of each pixel makes of the test set.
fn by_pixel(evaluator: &mut Evaluator, model: &Model, json: bool) -> Result<()> {
    let totals = pollster::block_on(evaluator.run())?;
    let confusion = evaluator.confusion().ok_or_else(|| Error::failed("nothing was counted"))?;
    let (loss, accuracy, samples) = (totals.loss(), totals.accuracy(), totals.samples());
    let (mean, ious) = (confusion.mean_iou(), confusion.ious());
    let names: Vec<String> = (0..confusion.classes()).map(|class| model.class_name(class)).collect();
    if json {
        let found = serde_json::json!({
            "loss": loss, "accuracy": accuracy, "mean_iou": mean, "samples": samples, "iou": ious, "classes": names,
            "confusion": confusion.rows(), "per_class": confusion.scores(),
        });
        return print(&format!("{found}\n"));
    }
    let mut text =
        format!("loss: {loss:.4} - accuracy of pixels: {accuracy:.4} - mean IoU: {mean:.4} - {samples} samples\n\n");
    let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    text += &format!("{:>widest$}     IoU  precision  recall     pixels\n", "class");
    let share = |share: Option<f64>| share.map_or("–".into(), |share| format!("{share:.4}"));
    for ((name, iou), score) in names.iter().zip(ious).zip(confusion.scores()) {
        let (iou, precision, recall) = (share(iou), share(score.precision), share(score.recall));
        text += &format!("{name:>widest$}  {iou:>6}  {precision:>9}  {recall:>6}  {:>9}\n", score.samples);
    }
    print(&text)
}
