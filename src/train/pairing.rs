//! Model and data together: how a model's data is read, the task that follows from the data, and whether the two fit.

use crate::data::schema::{ANSWERS, LABEL, NUMBERS, Scale, TARGET, TEXT};
use crate::data::{Dataset, ReadOptions, TargetKind, TextOptions};
use crate::error::{Error, Result};
use crate::model::presets::{Preset, all};
use crate::model::{Model, Task};
use crate::train::defaults::model_for;
use crate::train::settings::loss::LossName;

/// How data for a trained model is read: images of its size, a table with its columns, standardised as in training. The
/// targets of a table are `targets`, or those that the model names.
pub fn options_for<'a>(model: &'a Model, targets: &'a [String]) -> ReadOptions<'a> {
    let image = model.image().ok();
    let target_kind = match model.task {
        Task::Classify | Task::Next => TargetKind::Classes,
        Task::Answers => TargetKind::Answers,
        Task::Regress { .. } => TargetKind::Numbers,
    };
    ReadOptions {
        size: image.map(|[height, width, _]| [height, width]),
        fit: model.preparation().into(),
        channels: image.map(|[.., channels]| channels).filter(|channels| [1, 3].contains(channels)),
        targets,
        target_kind,
        columns: &model.columns,
        target_scales: model.task.targets(),
        class_names: &model.class_names,
        text: TextOptions {
            known: model.text.as_ref(),
            known_target: model.target.as_ref(),
            pairs: model.text.as_ref().map(|_| model.translates()),
            length: model.text.as_ref().map(|_| model.input[0]),
            documents: model.document_ends().is_some(),
            ..TextOptions::default()
        },
        ..ReadOptions::default()
    }
}

/// The columns that are a model's targets, where it names them: answers and numbers of a table.
pub fn targets_of(model: &Model) -> Vec<String> {
    match &model.task {
        _ if !model.reads_table() => Vec::new(),
        Task::Classify | Task::Next => Vec::new(),
        Task::Answers => model.class_names.clone(),
        Task::Regress { targets } => targets.iter().map(|scale| scale.name.clone()).collect(),
    }
}

/// The kind of a table's targets according to the requested loss.
pub fn kind_for(loss: Option<LossName>) -> TargetKind {
    match loss {
        None => TargetKind::Guessed,
        Some(LossName::Softmax | LossName::Dice | LossName::CeDice) => TargetKind::Classes,
        Some(LossName::Bce) => TargetKind::Answers,
        Some(LossName::Mse | LossName::Huber) => TargetKind::Numbers,
    }
}

impl Model {
    /// The preset of the name `spec` with input, classes and vocabulary as the data has them, or the model file at the path
    /// `spec`.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::named_or_file`], and for a preset that does not go with the kind of text that the data is.
    pub fn for_data(spec: &str, data: &Dataset) -> Result<Model> {
        let (fitting, why) = model_for(data)?;
        if data.text.is_some() && Preset::named(spec).is_ok() {
            let does = Preset::named(fitting)?.does()?;
            let fitting = all().filter(|preset| preset.does().is_ok_and(|found| found == does));
            let fitting: Vec<&str> = fitting.map(|preset| preset.name).collect();
            if !fitting.contains(&spec) {
                let (why, expected) = (why.unwrap_or_default(), fitting.join(", "));
                return Err(Error::input(format!("model {spec}: expected {expected} or a model file, {why}")));
            }
        }
        let input = data.train.schema().input(None)?.shape.clone();
        Model::named_or_file(spec, input, data.classes, data.text.as_ref())
    }

    /// The same model with the task and the columns that the data asks for: numbers where its targets are numbers, answers
    /// where they are yes or no, and where there are two classes, one output and `loss` is bce; else classes.
    ///
    /// # Errors
    /// [`Error::Input`] if the data has no targets, or the model is not sound.
    pub fn suited(&self, data: &Dataset, loss: Option<LossName>) -> Result<Model> {
        let schema = data.train.schema();
        let (input, target) = (schema.input(self.input_name())?, schema.target()?);
        let task = match &*target.name {
            NUMBERS => Task::Regress { targets: target.scales.clone() },
            ANSWERS => Task::Answers,
            TEXT | TARGET => Task::Next,
            _ if loss == Some(LossName::Bce) && data.classes == 2 && self.classes()? == 1 => Task::Answers,
            _ => Task::Classify,
        };
        let prepare = self.image().is_ok().then_some(data.prepare);
        Ok(Model {
            task,
            columns: input.scales.clone(),
            prepare,
            text: data.text.clone(),
            target: data.target.clone(),
            ..self.clone()
        })
    }
}

/// Holds a model's input and number of classes to the data's.
pub fn check_data(model: &Model, data: &Dataset) -> Result<()> {
    let schema = data.train.schema();
    let (input, target) = (schema.input(model.input_name())?, schema.target()?);
    if input.shape != model.input {
        let (name, model_name, expected) = (&data.name, &model.name, &model.input);
        return Err(Error::input(match (input.shape.len(), expected.len()) {
            (3, 3) => format!(
                "data set {name}: images of {:?}, the model {model_name} expects {expected:?} (height, width, channels)",
                input.shape
            ),
            _ => format!(
                "data set {name}: field {} of {:?} a sample, the model {model_name} expects {expected:?}",
                input.name, input.shape
            ),
        }));
    }
    if input.scales != model.columns {
        let (names, expected) = (names(&input.scales), names(&model.columns));
        return Err(Error::input(format!(
            "data set {}: columns {names}, the model {} expects {expected}, standardised as in its training",
            data.name, model.name
        )));
    }
    if model.carries() && target.stream.is_none() {
        let (name, model) = (&data.name, &model.name);
        let found = "its samples have nothing to do with each other";
        return Err(Error::input(format!(
            "data set {name}: {found}, the model {model} carries its state from one to the next"
        )));
    }
    let classes = model.classes()?;
    let outputs = if model.translates() { "translations" } else { model.task.outputs() };
    match &model.task {
        // A class of two is a yes-or-no answer.
        Task::Answers if target.name == LABEL && data.classes == 2 && classes == 1 => return Ok(()),
        task => {
            let expected = match task {
                Task::Classify => LABEL,
                Task::Next if model.translates() => TARGET,
                Task::Next => TEXT,
                Task::Answers => ANSWERS,
                Task::Regress { .. } => NUMBERS,
            };
            if target.name != expected {
                let found = match &*target.name {
                    NUMBERS => "numbers",
                    ANSWERS => "yes-or-no answers",
                    TEXT => "the tokens of a text",
                    TARGET => "translations",
                    _ => "classes",
                };
                return Err(Error::input(format!(
                    "data set {}: its targets are {found}, the model {} gives {outputs}",
                    data.name, model.name
                )));
            }
        }
    }
    if target.name != LABEL && data.classes != classes {
        return Err(Error::input(format!(
            "data set {}: {} {outputs}, the model {} gives {classes}",
            data.name, data.classes, model.name
        )));
    }
    if target.scales != model.task.targets() {
        let (names, expected) = (names(&target.scales), names(model.task.targets()));
        return Err(Error::input(format!(
            "data set {}: targets {names}, the model {} expects {expected}, standardised as in its training",
            data.name, model.name
        )));
    }
    if let Some(place) = [&data.train, &data.test].into_iter().find(|split| {
        // An image of one pixel has as many labels either way.
        model.positions().is_ok_and(|positions| positions != split.positions())
    }) {
        if model.text.is_some() {
            return Err(Error::input(format!(
                "data set {}: found no texts with one label each, which the model {} expects",
                data.name, model.name
            )));
        }
        let [has, wants] = [place.positions() > 1, model.is_segmentation()?]
            .map(|pixels| if pixels { "a label for each pixel" } else { "a label for each image" });
        return Err(Error::input(format!(
            "data set {}: it has {has}, the model {} expects {wants}{}",
            data.name,
            model.name,
            if model.is_segmentation()? {
                ", since it ends in an image"
            } else {
                "; a model for masks ends in an image, as unet-small does"
            }
        )));
    }
    if data.classes > classes {
        let hint = if classes == 1 && data.classes == 2 {
            "; with --loss bce its one output is a yes-or-no answer"
        } else {
            ""
        };
        return Err(Error::input(format!(
            "data set {}: labels up to {}, the model {} has {classes} classes{hint}",
            data.name,
            data.classes - 1,
            model.name
        )));
    }
    // Names given by the user, such as those of folders, must be the same classes; numbers may be any classes.
    let named = data.class_names.iter().enumerate().filter(|(class, name)| **name != class.to_string());
    for (class, name) in named {
        if let Some(known) = model.class_names.get(class).filter(|known| *known != name) {
            return Err(Error::input(format!(
                "data set {}: class {class} is {name}, the model {} expects {known}",
                data.name, model.name
            )));
        }
    }
    Ok(())
}

fn names(scales: &[Scale]) -> String {
    scales.iter().map(|scale| &*scale.name).collect::<Vec<_>>().join(", ")
}
