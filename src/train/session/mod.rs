//! A run that can be stopped and resumed: begin, resume, drive. The command `wgrad train` uses it.

mod drive;
mod resume;

pub use drive::{Ended, Tested};
pub use resume::Stopped;

use crate::data::Dataset;
use crate::data::PICTURE_BYTES;
use crate::data::values::text_of;
use crate::data::{Fit, IGNORED, ReadOptions, TextOptions};
use crate::device::Device;
use crate::device::choice::Choice;
use crate::device::choice::listing::device_json;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::text::choice::TokenizerChoice;
use crate::text::{Tokenizer, Unit};
use crate::train::epochs::trainer::Trainer;
use crate::train::finetune::First;
use crate::train::pairing::kind_for;
use crate::train::run::RunFolder;
use crate::train::run::history::quoted;
use crate::train::settings::config::RunConfig;
use crate::train::smaller::what_fits;
use crate::train::step::window::WINDOW_BYTES;
use std::path::Path;

/// The most words of a vocabulary where nothing says it.
const VOCABULARY: usize = 10_000;

/// A run on a device, with its folder: ready for [`Session::drive`].
#[derive(Debug)]
pub struct Session {
    /// The settings in force.
    pub config: RunConfig,
    /// The model.
    pub model: Model,
    /// The data for training and validation.
    pub data: Dataset,
    /// The device.
    pub device: Device,
    /// The content of the run's `device.json`.
    pub device_json: String,
    /// The trainer.
    pub trainer: Trainer,
    /// The run's folder, locked.
    pub folder: RunFolder,
}

/// What would make a step smaller too, where the data are pictures from files: others have no names, or are texts.
fn smaller_images(data: &Dataset) -> &'static str {
    if data.text.is_none() && data.train.name_of(0).is_some() {
        ", and --image-size N makes the pictures smaller"
    } else {
        ""
    }
}

impl Session {
    /// A run from its start, in its own folder: `folder`, or the next free `runs/<model>/<n>`. Nothing of the folder
    /// is made before the device holds the run.
    ///
    /// # Errors
    /// [`Error::Input`] for invalid settings, data that does not fit the model, a batch that does not fit
    /// the device (it names one that would), and a folder that holds something; [`Error::Failed`] if the device fails.
    pub fn begin(
        config: RunConfig,
        data: Dataset,
        first: First,
        device: (Device, &Choice),
        folder: Option<&Path>,
    ) -> Result<Session> {
        Self::begin_after(config, data, first, device, folder, |_, _| Ok(()))
    }

    /// `begin` with what is to be done once the trainer is made, before the folder is.
    ///
    /// # Errors
    /// As [`Session::begin`], and those of `ready`.
    pub fn begin_after(
        mut config: RunConfig,
        data: Dataset,
        first: First,
        (device, choice): (Device, &Choice),
        folder: Option<&Path>,
        ready: impl FnOnce(&mut Trainer, &Device) -> Result<()>,
    ) -> Result<Session> {
        config.train.check()?;
        config.settle_val();
        let First { model, weights, .. } = first;
        // A trained net, and one that an application has built, are in no place that the configuration could name.
        if config.from.is_some() || config.check_net(&model.name).is_err() {
            config.model.clone_from(&model.name);
        }
        let mut trainer = Trainer::new(&device, &model, &data, &config.train, weights.as_ref()).map_err(|error| {
            let Error::Input(why) = &error else { return error };
            // Offered, not taken: another batch is another run.
            match what_fits(&device, &model, &data, &config.train) {
                Some(options) => Error::input(format!("{why}; {options} would fit{}", smaller_images(&data))),
                None => error,
            }
        })?;
        ready(&mut trainer, &device)?;
        // So that a run can be resumed without the model's file.
        config.length = model.text.as_ref().map(|_| model.input[0]);
        // The device's decision belongs to the run: on another device it continues in the same order.
        config.train.device_data_limit = trainer.options().device_data_limit;
        let device_json = json_of(choice)?;
        let path = match folder {
            Some(path) => path.to_path_buf(),
            None => RunFolder::claim(&model.name)?,
        };
        let folder = RunFolder::create(&path, &config, &device_json)?;
        #[cfg(feature = "images")]
        if !config.train.augment.is_off() {
            let sheet = crate::train::augmented::sheet(&data, &config.train.augment, config.train.seed)?;
            folder.picture("augmented.png", &sheet)?;
        }
        Ok(Session { config, model, data, device, device_json, trainer, folder })
    }
}

/// The content of `device.json`.
fn json_of(choice: &Choice) -> Result<String> {
    device_json(choice).map_err(|e| Error::failed(format!("device.json: {e}")))
}

/// Opens the data of a run and cuts it to the limits; `progress` hears how many files of how many are read.
///
/// # Errors
/// [`Error::Input`] for data that cannot be read.
pub fn open_data(config: &RunConfig, progress: Option<&(dyn Fn(usize, usize) + Sync)>) -> Result<Dataset> {
    open(config, progress, Dataset::open_validated)
}

/// `open_data` for what the trained model is measured on: other data that epochs were validated on is read only if there are
/// no tests.
///
/// # Errors
/// As [`open_data`].
pub fn open_measured(config: &RunConfig) -> Result<Dataset> {
    open(config, None, Dataset::open_tests)
}

fn open(
    config: &RunConfig,
    progress: Option<&(dyn Fn(usize, usize) + Sync)>,
    validated: impl Fn(&str, &str, &ReadOptions) -> Result<Dataset>,
) -> Result<Dataset> {
    let (size, channels, strict) = (config.image_size, config.image_channels, config.strict_data);
    let hold_bytes = Some(config.train.device_data_limit.unwrap_or(WINDOW_BYTES));
    let (targets, ignored, target_kind) = (&config.target[..], &config.ignore[..], kind_for(config.train.loss));
    if targets.is_empty() && !ignored.is_empty() {
        return Err(Error::input("ignore: only a table has columns to leave out; --target reads a table"));
    }
    // A fine-tuned net reads the columns that it knows.
    let known = config.from.as_ref().map(Model::load).transpose()?.map(|known| known.model);
    let known = known.filter(|known| known.text.is_some() || !targets.is_empty());
    let own = match &known {
        Some(known) => known.text.as_ref().map(|_| (known.input[0], known.translates())),
        // An unreadable file is an error if the model is needed; a resumed run does not need it.
        None => Model::text_of(&config.model).unwrap_or(None),
    };
    let given = match (&config.tokenizer, &known) {
        (Some(TokenizerChoice::File(file)), Some(Model { text: Some(_), name, .. })) => {
            return Err(Error::input(format!(
                "--tokenizer {file}: the model {name} has a tokenizer, expected no other"
            )));
        }
        (choice, _) => choice.as_ref().map(TokenizerChoice::open).transpose()?.flatten(),
    };
    let given_target = given.clone().map(Tokenizer::with_ends);
    let documents = config.documents || known.as_ref().is_some_and(|known| known.document_ends().is_some());
    let given = if documents { given_target.clone() } else { given };
    let text = TextOptions {
        unit: config.tokenizer.as_ref().and_then(TokenizerChoice::unit),
        vocabulary: config.vocabulary.unwrap_or(VOCABULARY),
        length: config.length.or(own.map(|(length, _)| length)),
        column: config.text.as_deref(),
        known: known.as_ref().and_then(|known| known.text.as_ref()).or(given.as_ref()),
        known_target: known.as_ref().and_then(|known| known.target.as_ref()).or(given_target.as_ref()),
        pairs: own.map(|(_, translates)| translates),
        documents,
        // A model file has a length of its own.
        shrinks: config.length.is_none() && known.is_none() && !config.model.ends_with(".toml"),
        kept: None,
    };
    let columns = known.as_ref().map_or(&[][..], |known| &known.columns);
    let options = ReadOptions {
        size,
        fit: config.fit,
        channels,
        strict,
        hold_bytes,
        hold_pictures: Some(config.train.device_data_limit.unwrap_or(PICTURE_BYTES)),
        progress,
        targets,
        ignored,
        target_kind,
        columns,
        ignore_label: config.ignore_label,
        text,
        ..ReadOptions::default()
    };
    if config.documents && known.as_ref().is_some_and(Model::translates) {
        return Err(Error::input("--documents: expected a model that continues texts, found one that translates"));
    }
    let has_model = known.as_ref().is_some_and(|known| known.text.is_some());
    let mut data = match (&config.val, config.train.validation_split) {
        (None, _) => Dataset::open_with(&config.data, &options)?,
        (Some(val), None) => validated(&config.data, val, &options)?,
        (Some(val), Some(share)) => {
            let wanted = "expected one of the two";
            return Err(Error::input(format!("val {val}: found a validation split of {share} as well, {wanted}")));
        }
    };
    if config.fit != Fit::Stretch && data.prepare != config.fit.into() {
        let fit = format!("{:?}", config.fit).to_lowercase();
        let (name, expected) = (&data.name, "expected pictures, in a folder for each class or with masks");
        return Err(Error::input(format!("fit {fit}: {expected}, found {name}, whose images stay as they are")));
    }
    check_options(config, &data, has_model)?;
    if let Some(label) = config.ignore_label {
        let parts = [Some(&data.train), data.validation.as_ref(), Some(&data.test)];
        if !parts.into_iter().flatten().any(|split| split.each_label().any(|found| found == IGNORED)) {
            let said = format!("no label has the value {}: --ignore-label leaves nothing out", text_of(label));
            data.note([said]);
        }
    }
    let seed = config.train.seed;
    let mut drawn = Vec::new();
    if let Some(limit) = config.train_limit {
        drawn.extend(data.train.limit(limit, seed)?.then_some("train"));
    }
    if let Some(limit) = config.test_limit {
        drawn.extend(data.test.limit(limit, seed)?.then_some("test"));
        if let Some(validation) = &mut data.validation {
            drawn.extend(validation.limit(limit, seed)?.then_some("validation"));
        }
    }
    if !drawn.is_empty() {
        let parts = drawn.join(" and ");
        let said = format!(
            "the first {parts} samples do not contain every class: samples are drawn from all classes in proportion, by the seed"
        );
        data.note([said]);
    }
    Ok(data)
}

/// Refuses options that mean nothing for the data.
fn check_options(config: &RunConfig, data: &Dataset, has_model: bool) -> Result<()> {
    let words = data.text.as_ref().is_none_or(|text| text.unit() == Unit::Words);
    let of_texts = [
        ("tokenizer", config.tokenizer.is_some()),
        ("vocabulary", config.vocabulary.is_some()),
        ("length", config.length.is_some()),
    ];
    let of_images = [("image-channels", config.image_channels.is_some()), ("image-size", config.image_size.is_some())];
    let given = |options: &[(&'static str, bool)]| options.iter().find(|(_, given)| *given).map(|(name, _)| *name);
    let name = &data.name;
    let refused = match &data.text {
        _ if config.documents && !data.has_documents() => {
            Some(("documents", format!("expected a text with a document on each line, FILE.txt, found {name}")))
        }
        None => given(&of_texts).map(|option| (option, format!("expected a data set of text, found {name}"))),
        Some(_) if has_model => given(&of_texts[..2])
            .map(|option| (option, "expected none with --from: the trained model keeps its tokens".to_owned())),
        Some(_) if !words && config.vocabulary.is_some() => {
            Some(("vocabulary", "expected --tokenizer words with it; other tokens are all kept".to_owned()))
        }
        Some(_) => given(&of_images).map(|option| (option, format!("expected a data set of images, found {name}"))),
    };
    match refused {
        None => Ok(()),
        Some((option, why)) => Err(Error::input(format!("--{option}: {why}"))),
    }
}

/// The command that resumes a run.
pub fn resume_command(run: &Path) -> String {
    // A name that begins with a dash would be taken for an option.
    let dashed = run.as_os_str().as_encoded_bytes().starts_with(b"-");
    let run = if dashed { &Path::new(".").join(run) } else { run };
    format!("wgrad train --resume {}", quoted(run))
}

/// The error of a run that has begun, with the last good checkpoint and the command that resumes from it.
fn with_way_on(error: Error, run: &Path, good: Option<(&Path, Option<u64>)>) -> Error {
    let (Error::Failed(why), Some((path, step))) = (&error, good) else { return error };
    let step = step.map_or(String::new(), |step| format!(" (step {step})"));
    let (path, command) = (path.display(), resume_command(run));
    Error::failed(format!("{why}; the last good checkpoint is {path}{step}, and {command} goes on from it"))
}
