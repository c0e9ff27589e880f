//! `wgrad predict` of a model that reads a table: a line of CSV, or a JSON object, for each row.

use crate::cli::commands::predict::{PredictArgs, rows};
use crate::cli::print;
use crate::data::formats::table::read_features;
use crate::error::{Error, Result};
use crate::model::{Model, Task};
use crate::train::predict::{Predictor, TrainedModel};
use serde_json::{Map, Value, json};

/// Rows of a batch.
const BATCH: usize = 1024;

/// Predicts and prints every row of every file, in their order.
pub(super) fn run(args: &PredictArgs, trained: &TrainedModel) -> Result<()> {
    if args.save_prepared.is_some() || args.masks.is_some() || args.overlay.is_some() {
        return Err(Error::input("--save-prepared, --masks and --overlay: expected a model that reads images"));
    }
    let model = &trained.model;
    let mut files = Vec::new();
    for path in &args.images {
        let (features, unread) = read_features(path, &model.columns)?;
        if !unread.is_empty() {
            let (shown, unread) = (path.display(), unread.join(", "));
            crate::cli::say(&format!("note: {shown}: the model does not read {unread}"));
        }
        files.push((path.display().to_string(), features));
    }
    let (device, _) = args.device.open()?;
    let most = files.iter().map(|(_, features)| features.len() / model.columns.len()).max().unwrap_or(1);
    let mut predictor = Predictor::new(&device, trained, most.clamp(1, BATCH))?;
    let mut rows: Vec<Vec<(&str, Value)>> = Vec::new();
    let names = names(model)?;
    for (file, features) in &files {
        for found in pollster::block_on(predictor.rows(features))? {
            if found.iter().any(|number| !number.is_finite()) {
                return Err(Error::failed(format!("{file}: the model's numbers are not finite")));
            }
            let file = (files.len() > 1).then(|| ("file", json!(file)));
            rows.push(file.into_iter().chain(answer(model, &names, &found)).collect());
        }
    }
    if args.json {
        let object = |row: Vec<(&str, Value)>| {
            row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<String, Value>>()
        };
        let rows: Vec<_> = rows.into_iter().map(object).collect();
        return print(&(json!(rows).to_string() + "\n"));
    }
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let head: Vec<String> = rows.first().into_iter().flatten().map(|(name, _)| (*name).to_owned()).collect();
    let cells = rows.iter().map(|row| row.iter().map(|(_, value)| cell(value)).collect::<Vec<_>>());
    let text = rows::csv(&head, cells)?;
    args.csv.as_ref().map_or_else(|| print(&text), |path| rows::put(path, &text, rows.len()))
}

/// The answer for the output of a row.
fn names(model: &Model) -> Result<Vec<String>> {
    Ok(match &model.task {
        Task::Regress { targets } => targets.iter().map(|scale| scale.name.clone()).collect(),
        Task::Answers if model.class_names.len() != 2 || model.classes()? != 1 => {
            (0..model.classes()?).map(|answer| model.answer_name(answer)).collect()
        }
        Task::Answers | Task::Classify | Task::Next => model.class_names.clone(),
    })
}

/// A number without the digits that single precision does not hold: those below a millionth of the target's deviation.
fn rounded(number: f64, deviation: f64) -> f64 {
    let places = (6.0 - deviation.log10().floor()).clamp(0.0, 17.0) as usize;
    format!("{number:.places$}").parse().unwrap_or(number)
}

/// The columns of a row's answer: the class and its probability, a probability for each answer, or a number for each target.
fn answer<'a>(model: &Model, names: &'a [String], found: &[f64]) -> Vec<(&'a str, Value)> {
    let is_class = model.task.is_classify() || found.len() > names.len();
    if is_class {
        let best = (1..found.len()).fold(0, |best, class| if found[class] > found[best] { class } else { best });
        return vec![("class", json!(model.class_name(best))), ("probability", json!(rounded(found[best], 1.0)))];
    }
    let targets = model.task.targets();
    let short = |at: usize, number: f64| rounded(number, targets.get(at).map_or(1.0, |scale| scale.deviation));
    names.iter().zip(found).enumerate().map(|(at, (name, number))| (&**name, json!(short(at, *number)))).collect()
}
