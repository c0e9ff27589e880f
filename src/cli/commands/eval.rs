//! `wgrad eval`: evaluates a stored model on a test set: loss, and depending on the task a confusion matrix, answers or
//! errors.

mod translations;
mod wrong;

use crate::cli::terminal::lines::six_digits;
use crate::cli::terminal::table::Table;
use crate::cli::{DeviceArgs, columns, print, print_fitted};
use crate::counted::counted;
use crate::data::{BUILT_IN, Dataset, PICTURE_BYTES, ReadOptions, Scale};
use crate::error::{Error, Result};
use crate::files::Inputs;
use crate::model::formats::weights::Weights;
use crate::model::{Model, Task};
use crate::train::epochs::confusion::{ClassScore, Confusion, MOST_CLASSES, argmax};
use crate::train::epochs::evaluator::Evaluator;
use crate::train::epochs::scores::{NumberScore, answer_scores, answers_of};
use crate::train::epochs::top::TopCount;
use crate::train::pairing::{check_data, options_for, targets_of};
use crate::train::predict::TrainedModel;
use crate::train::run::RunConfig;
use crate::train::run::history::History;
use crate::train::session::open_measured;
use crate::train::step::window::WINDOW_BYTES;
use clap::Args;
use std::path::{Path, PathBuf};
use wrong::Wrong;

/// Evaluate a trained model on the test set
///
/// The loss is the standard one for the model's task, whatever --loss it was trained with: softmax cross-entropy for
/// classes, binary cross-entropy for yes-or-no answers, the squared error of standardised targets for numbers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wgrad eval runs/mnist-cnn/1/model.safetensors\n  \
wgrad eval runs/mlp/1/model.safetensors --data houses.csv\n  \
wgrad eval runs/resnet-small/1 --save-wrong wrong\n  \
wgrad eval runs/translator/1 --translations out --beam 5")]
pub struct EvalArgs {
    /// A model file, or the folder of a run
    file: PathBuf,
    /// The data, as in `wgrad train`: mnist, a folder, or a file (CSV, .npz, text); without a test part all of it is
    /// evaluated [default: the data of the run that the weights are in, else mnist]
    #[arg(long, short, alias = "dataset", value_name = "mnist|DIR|FILE")]
    data: Option<String>,
    /// For a table with classes: the column of classes; a model of numbers or yes-or-no answers knows its targets
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    target: Vec<String>,
    /// For masks: a value to ignore, as in `wgrad train`
    #[arg(long, value_name = "VALUE", value_parser = crate::train::settings::flags::mask_value)]
    ignore_label: Option<u32>,
    /// A preset or a model file, for weights that wgrad did not write
    #[arg(long, short, value_name = "NAME|FILE.toml")]
    model: Option<String>,
    /// Save the misclassified pictures to this folder, which must be new or empty, as TRUE-as-PREDICTED_NAME:
    /// copies of the files if the data is a folder of pictures, else PNG files named by their number
    #[arg(long, value_name = "DIR")]
    save_wrong: Option<PathBuf>,
    /// With --save-wrong: the maximum number of pictures; those with the highest confidence come first
    #[arg(long, value_name = "N", default_value_t = 100, requires = "save_wrong", value_parser = clap::value_parser!(u32).range(1..))]
    wrong_limit: u32,
    /// For translation: translate the test pairs and write source.txt, reference.txt and translation.txt to this folder, with a
    /// line for each pair, as sacreBLEU reads them
    #[arg(long, value_name = "DIR")]
    translations: Option<PathBuf>,
    /// With --translations: the width of the beam search; 1 takes the most likely token each time
    #[arg(long, value_name = "N", default_value_t = 1, requires = "translations")]
    beam: usize,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Evaluates and prints.
pub fn run(args: EvalArgs) -> Result<()> {
    let (described, weights) = Weights::load(&args.file)?;
    let own = own_data(&args.file)?;
    let place = |spec: &str| Path::new(spec).canonicalize().ok();
    let is_own = |own: &OwnData| {
        args.data.as_ref().is_none_or(|spec| *spec == own.config.data || place(spec) == place(&own.place))
    };
    let own = own.filter(is_own);
    let tests_alone = own.is_none();
    let (data, spec) = match own.filter(|_| args.target.is_empty()) {
        Some(own) => own.open(&args, described.is_some())?,
        None => {
            let known = described.as_ref().filter(|model| model.reads_table()).map(targets_of).unwrap_or_default();
            let targets = if args.target.is_empty() { &known } else { &args.target };
            if targets.is_empty() && described.as_ref().is_some_and(Model::reads_table) {
                let why = "the model predicts classes from a table: expected --target COLUMN, the column of classes";
                return Err(Error::input(why));
            }
            let options = described.as_ref().map(|model| options_for(model, targets)).unwrap_or_default();
            let spec = args.data.clone().unwrap_or_else(|| BUILT_IN.into());
            let (hold_bytes, ignore_label) = (Some(WINDOW_BYTES), args.ignore_label);
            let hold_pictures = Some(PICTURE_BYTES);
            let options = ReadOptions { hold_bytes, hold_pictures, tests_alone, ignore_label, ..options };
            (Dataset::open_with(&spec, &options)?, spec)
        }
    };
    let about = About { json: args.json, set: if data.untested { "validation" } else { "test" }, data: spec.clone() };
    if args.data.is_none() || data.untested {
        crate::cli::say(&about.line());
    }
    if let Some(notice) = &data.notice {
        crate::cli::say(&format!("note: {notice}"));
    }
    let model = match (&args.model, &described) {
        (Some(spec), _) => {
            let model = Model::for_data(spec, &data)?.suited(&data, None)?;
            Model { class_names: data.class_names.clone(), ..model }
        }
        (None, Some(model)) => model.clone(),
        (None, None) => {
            let file = args.file.display();
            return Err(Error::input(format!("{file}: it does not describe its model; expected --model")));
        }
    };
    let in_file = |e| Error::input(format!("{}: {e}", args.file.display()));
    let weights = weights.joined(&model).map_err(in_file)?;
    weights.check_against(&model).map_err(in_file)?;
    check_data(&model, &data)?;
    let wrong = match &args.save_wrong {
        Some(_) if !model.task.is_classify() || model.is_segmentation()? || model.image().is_err() => {
            return Err(Error::input("--save-wrong: expected a model that classifies pictures"));
        }
        folder => folder.as_ref().map(|folder| Wrong::new(folder, args.wrong_limit as usize)).transpose()?,
    };
    if args.translations.is_some() && !model.translates() {
        return Err(Error::input("--translations: a model that translates is expected"));
    }
    let (device, _) = args.device.open()?;
    let mut evaluator = Evaluator::new(&device, &model, &data.test, 128)?;
    crate::cli::note(&device);
    evaluator.set_weights(&weights)?;
    if let Some(folder) = &args.translations {
        let trained = TrainedModel { model: model.clone(), weights };
        let own = folder_of(Path::new(&spec));
        let own = Inputs::of(translations::FILES.map(|name| own.join(name)).iter().map(PathBuf::as_path));
        translations::FILES.iter().try_for_each(|name| own.spare(&folder.join(name)))?;
        translations::write(folder, &device, &trained, &data.test, args.beam)?;
        let (count, [source, reference, translation]) = (data.test.count, translations::FILES);
        let shown = folder.display();
        crate::cli::say(&format!("wrote {count} pairs to {shown}: {source}, {reference} and {translation}"));
    }
    match &model.task {
        Task::Classify if model.is_segmentation()? => by_pixel(&mut evaluator, &model, &about),
        Task::Classify => classes(&mut evaluator, &model, &data, &folder_of(Path::new(&spec)), wrong, &about),
        Task::Next => tokens(&mut evaluator, &about),
        Task::Answers => answers(&mut evaluator, &model, &data, &about),
        Task::Regress { targets } => numbers(&mut evaluator, targets, &about),
    }
}

/// A loss; one that is not finite says that the model's outputs are not.
fn finite(loss: f64) -> Result<f64> {
    if loss.is_finite() {
        Ok(loss)
    } else {
        Err(Error::failed(format!("the loss is {loss}: the model's outputs are not finite")))
    }
}

/// What is evaluated, and how the result is printed.
struct About {
    json: bool,
    data: String,
    set: &'static str,
}

impl About {
    /// The data in words.
    fn line(&self) -> String {
        let set = if self.set == "test" { "" } else { ", the validation set: there are no tests" };
        format!("data: {}{set}", self.data)
    }

    /// Prints metrics as JSON, with the names of the data and of the set.
    fn print(&self, mut found: serde_json::Value) -> Result<()> {
        found["data"] = self.data.clone().into();
        found["set"] = self.set.into();
        print(&format!("{found}\n"))
    }
}

/// The data of the run that weights belong to.
struct OwnData {
    config: RunConfig,
    /// Where it was when the run began.
    place: String,
    history: History,
}

impl OwnData {
    /// Opens it as the run did, and names it. What a run learnt from is no test of it: of its own data that part alone is
    /// evaluated which was held out.
    fn open(self, args: &EvalArgs, described: bool) -> Result<(Dataset, String)> {
        let OwnData { mut config, place, history } = self;
        let shown = args.data.clone().unwrap_or_else(|| config.data.clone());
        config.data = place;
        config.ignore_label = args.ignore_label.or(config.ignore_label);
        if described {
            // The model knows its columns and its tokens, wherever they came from.
            (config.from, config.tokenizer, config.vocabulary) = (Some(args.file.clone()), None, None);
        }
        let data = open_measured(&config)?;
        let change = if args.ignore_label.is_some() { None } else { history.change_of(&data.test)? };
        if let Some(why) = change {
            if args.data.is_none() {
                let place = &config.data;
                return Err(Error::input(format!(
                    "data {place}: {why}; --data {shown} evaluates them as they are now"
                )));
            }
            crate::cli::say(&format!("note: {shown}: {why}"));
        }
        let shown = config.val.filter(|_| data.untested).unwrap_or(shown);
        Ok((data, shown))
    }
}

/// The data of the run whose folder this is, or that weights in it (or in its checkpoints) belong to.
fn own_data(file: &Path) -> Result<Option<OwnData>> {
    let folders = [file, file.parent().unwrap_or(file), file.parent().and_then(Path::parent).unwrap_or(file)];
    let Some(run) = folders.into_iter().find(|folder| folder.join("metrics.jsonl").is_file()) else { return Ok(None) };
    let config = run.join("config.toml");
    if !config.is_file() {
        return Ok(None);
    }
    let (config, history) = (RunConfig::read(&config)?, History::read(run)?.unwrap_or_default());
    let place = history.data.clone().unwrap_or_else(|| config.data.clone());
    Ok(Some(OwnData { config, place, history }))
}

/// The folder that the names of a data set's files start from: that of a list is where the list is.
fn folder_of(data: &Path) -> PathBuf {
    let list = data.is_file().then(|| data.parent()).flatten();
    list.unwrap_or(data).into()
}

/// Loss, accuracy and confusion matrix of a model that predicts classes.
fn classes(
    evaluator: &mut Evaluator,
    model: &Model,
    data: &Dataset,
    root: &Path,
    mut wrong: Option<Wrong>,
    about: &About,
) -> Result<()> {
    let (classes, labels) = (model.classes()?, data.test.labels());
    let (mut predicted, mut top) = (Vec::with_capacity(data.test.count), TopCount::default());
    let totals = pollster::block_on(evaluator.run_each(|logits| {
        if let Some(label) = labels.get(predicted.len()) {
            top.add(logits, *label);
            wrong.iter_mut().for_each(|wrong| wrong.note(predicted.len(), logits, *label));
        }
        predicted.push(argmax(logits));
        Ok(())
    }))?;
    let (loss, accuracy, samples) = (finite(totals.loss())?, totals.accuracy(), totals.samples());
    let mut found = serde_json::json!({ "loss": loss, "accuracy": accuracy, "samples": samples });
    let top5 = top.accuracy(classes);
    top5.iter().for_each(|top5| found["top5_accuracy"] = serde_json::json!(top5));
    let top5 = top5.map_or_else(String::new, |top5| format!(" - top-5 accuracy: {top5:.4}"));
    let mut text = format!("loss: {loss:.4} - accuracy: {accuracy:.4}{top5} - {}\n", counted(samples, "sample"));
    if classes > MOST_CLASSES {
        crate::cli::say(&format!("note: {classes} classes are too many for a confusion matrix"));
    } else {
        let confusion = Confusion::from_predictions(classes, &labels, &predicted)?;
        let names: Vec<String> = (0..classes).map(|class| model.class_name(class)).collect();
        text += &format!("\n{}", confusion.table_within(columns(), |class| names[class].clone()));
        found["confusion"] = serde_json::json!(confusion.rows());
        found["per_class"] = serde_json::json!(confusion.scores());
        found["classes"] = serde_json::json!(names);
    }
    if let Some(wrong) = wrong {
        crate::cli::say(&wrong.write(&data.test, root, |class| model.class_name(class))?);
    }
    if about.json { about.print(found) } else { print_fitted(&text) }
}

/// Loss, perplexity and accuracy of a model that continues a text.
fn tokens(evaluator: &mut Evaluator, about: &About) -> Result<()> {
    let totals = pollster::block_on(evaluator.run())?;
    let (loss, accuracy, tokens) = (finite(totals.loss())?, totals.accuracy(), totals.targets());
    let perplexity = loss.exp();
    if about.json {
        let found = serde_json::json!({
            "loss": loss, "perplexity": perplexity, "bits_per_token": loss / std::f64::consts::LN_2, "accuracy": accuracy,
            "tokens": tokens,
        });
        return about.print(found);
    }
    let bits = loss / std::f64::consts::LN_2;
    print_fitted(&format!(
        "loss: {loss:.4} - perplexity: {perplexity:.4} - bits per token: {bits:.4} - accuracy: {accuracy:.4} - {tokens} tokens\n"
    ))
}

/// How often each yes-or-no answer is right.
fn answers(evaluator: &mut Evaluator, model: &Model, data: &Dataset, about: &About) -> Result<()> {
    let mut logits = Vec::new();
    let totals = pollster::block_on(evaluator.run_each(|row| {
        logits.extend_from_slice(row);
        Ok(())
    }))?;
    let outputs = model.classes()?;
    let scores = answer_scores(&answers_of(&data.test)?, &logits, outputs)?;
    let (loss, accuracy, samples) = (finite(totals.loss())?, totals.accuracy(), totals.samples());
    let names: Vec<String> = (0..outputs).map(|answer| model.answer_name(answer)).collect();
    if about.json {
        let found = serde_json::json!({
            "loss": loss, "accuracy": accuracy, "samples": samples, "answers": names, "per_answer": scores,
        });
        return about.print(found);
    }
    let mut text = format!("loss: {loss:.4} - accuracy of answers: {accuracy:.4} - {}\n\n", counted(samples, "sample"));
    let mut table = Table::new(["answer", "yes", "answered yes", "precision", "recall"]);
    let share = |share: Option<f64>| share.map_or("–".into(), |share| format!("{share:.4}"));
    for (name, score) in names.into_iter().zip(scores) {
        let ClassScore { samples, predicted, precision, recall, .. } = score;
        table.row([name, samples.to_string(), predicted.to_string(), share(precision), share(recall)]);
    }
    text += &table.text(columns());
    print_fitted(&text)
}

/// How near a model's numbers come to their targets.
fn numbers(evaluator: &mut Evaluator, targets: &[Scale], about: &About) -> Result<()> {
    let (totals, numbers) = pollster::block_on(evaluator.run_numbers())?;
    let (loss, samples, scores) = (finite(totals.loss())?, totals.samples(), numbers.scores(targets));
    if about.json {
        return about.print(serde_json::json!({ "loss": loss, "samples": samples, "targets": scores }));
    }
    let mut text = format!("loss: {loss:.4} (of standardised targets) - {}\n\n", counted(samples, "sample"));
    let mut table = Table::new(["target", "mean abs. error", "root mean sq. error", "R²"]);
    for NumberScore { name, mae, rmse, r2, .. } in scores {
        let r2 = r2.map_or("–".into(), |r2| format!("{r2:.4}"));
        table.row([name, six_digits(mae), six_digits(rmse), r2]);
    }
    text += &table.text(columns());
    print_fitted(&text)
}

/// The results of a segmentation model on the test set.
fn by_pixel(evaluator: &mut Evaluator, model: &Model, about: &About) -> Result<()> {
    let totals = pollster::block_on(evaluator.run())?;
    let confusion = evaluator.confusion().ok_or_else(|| Error::failed("nothing was counted"))?;
    let (loss, accuracy, samples) = (finite(totals.loss())?, totals.accuracy(), totals.samples());
    let (mean, ious) = (confusion.mean_iou(), confusion.ious());
    let names: Vec<String> = (0..confusion.classes()).map(|class| model.class_name(class)).collect();
    if about.json {
        let found = serde_json::json!({
            "loss": loss, "accuracy": accuracy, "mean_iou": mean, "samples": samples, "iou": ious, "classes": names,
            "confusion": confusion.rows(), "per_class": confusion.scores(),
        });
        return about.print(found);
    }
    let mut text = format!(
        "loss: {loss:.4} - accuracy of pixels: {accuracy:.4} - mean IoU: {mean:.4} - {}\n\n",
        counted(samples, "sample")
    );
    let mut table = Table::new(["class", "IoU", "precision", "recall", "pixels"]);
    let share = |share: Option<f64>| share.map_or("–".into(), |share| format!("{share:.4}"));
    for ((name, iou), score) in names.into_iter().zip(ious).zip(confusion.scores()) {
        table.row([name, share(iou), share(score.precision), share(score.recall), score.samples.to_string()]);
    }
    text += &table.text(columns());
    print_fitted(&text)
}
