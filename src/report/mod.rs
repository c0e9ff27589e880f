//! The report of a run: everything that its page shows, gathered into one structure, and the page itself.
//!
//! [`gather`] asks a trainer what its net makes of the test set and where a step spends its time; [`ReportData`] is what
//! the page's script is given; [`page::html`] puts both into one file that needs nothing else.

pub mod alignments;
pub mod answers;
pub mod embeddings;
pub mod folder;
pub mod heads;
pub mod inside;
pub mod masks;
pub mod page;
pub mod passages;
pub mod picture;
pub mod pictures;
pub mod runs;
pub mod series;
pub mod targets;
pub mod texts;

use crate::data::{Dataset, Prepare};
use crate::error::Result;
use crate::model::{Model, Task, Weights};
use crate::train::epochs::confusion::MOST_CLASSES;
use crate::train::epochs::scores::answers_of;
use crate::train::epochs::timing::KernelTime;
use crate::train::epochs::top::TopCount;
use crate::train::epochs::trainer::Trainer;
use alignments::{Alignment, alignments};
use answers::{TestResults, surest_mistakes};
use embeddings::EmbeddingPicture;
use folder::RunRecord;
use heads::Heads;
use inside::Inside;
use masks::MaskResults;
use passages::Passage;
use picture::Picture;
use pictures::{Filters, Maps};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use targets::{AnswerResults, NumberResults};
use texts::{TextTask, WrongText, wrong_texts};

/// How many mistakes a page shows.
const MISTAKES: usize = 18;

/// How many probabilities stand beside a mistake.
const GUESSES: usize = 3;

/// Everything that a page shows.
#[derive(Clone, Debug, Serialize)]
pub struct ReportData {
    /// The version that made it.
    pub version: &'static str,
    /// Whether the run is in progress, and the page polls for changes.
    pub live: bool,
    /// The run, or those that are compared.
    pub runs: Vec<RunRecord>,
    /// The settings in which the runs differ.
    pub differences: Vec<Difference>,
    /// The part that only the report of a single run has.
    pub findings: Findings,
}

/// A setting that the runs do not have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The setting, as `config.toml` has it, or `device in use`.
    pub key: String,
    /// Its value in each run; `None` if it was left out.
    pub values: Vec<Option<String>>,
}

/// The findings about one trained net. For each `None`, the reason is in `missing`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// The layers.
    pub model: Option<ModelTable>,
    /// One name per class.
    pub classes: Vec<String>,
    /// The test set, counted.
    pub confusion: Option<TestResults>,
    /// How often the true class is among the five most likely, of the test set, where there are more classes than that.
    pub top5_accuracy: Option<f64>,
    /// Pictures of the test set with their masks, where the net tells the class of each pixel.
    pub masks: Option<MaskResults>,
    /// How near the net comes to targets that are numbers.
    pub numbers: Vec<NumberResults>,
    /// The test set's yes-or-no answers, counted.
    pub answers: Option<AnswerResults>,
    /// The misclassified test images with the highest confidence.
    pub mistakes: Vec<Mistake>,
    /// The same of texts.
    pub wrong_texts: Vec<WrongText>,
    /// Translations of test pairs and where the net looked, of a net that translates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alignments: Vec<Alignment>,
    /// What each head of each attention looks at in the first sample of the test set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<Heads>,
    /// Passages of the test set with the loss of each token, of a net that writes texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<Passage>,
    /// The embeddings of a net that reads text, along two principal components.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub embeddings: Vec<EmbeddingPicture>,
    /// The first layer's filters.
    pub filters: Option<Filters>,
    /// One sample on its way through the net.
    pub maps: Option<Maps>,
    /// The time of a step by kernel.
    pub timings: Option<Timings>,
    /// Why a part is not there, by the part's name.
    pub missing: BTreeMap<&'static str, String>,
}

/// The layers of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelTable {
    /// The model's name.
    pub name: String,
    /// Height, width and channels of an image; the columns of a table.
    pub input: Vec<usize>,
    /// What it reads, in words.
    pub reads: String,
    /// Whether pictures are prepared as MNIST's digits were.
    pub digits: bool,
    /// Whether each pixel has a class.
    pub by_pixel: bool,
    /// What it does with a text, of a net that reads one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextTask>,
    /// Layer, sizes of its result, and the number of its parameters.
    pub layers: Vec<(String, Vec<usize>, u64)>,
}

/// A misclassified test image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mistake {
    /// Its place in the test set, from 0.
    pub index: usize,
    /// Its name, such as the file it was read from, where the data has names.
    pub name: Option<String>,
    /// Its class.
    pub label: usize,
    /// The most likely classes and their probabilities.
    pub guesses: Vec<(usize, f64)>,
    /// The image.
    pub picture: Picture,
    /// The gradient of the most likely class's logit with respect to the input.
    pub saliency: Picture,
}

/// Timings of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timings {
    /// The device that they were taken on.
    pub device: String,
    /// Samples of the step.
    pub batch_size: usize,
    /// The kernels, in the order of the step.
    pub kernels: Vec<KernelTime>,
}

impl ReportData {
    /// The report of one run.
    pub fn of(run: RunRecord, findings: Findings) -> Self {
        ReportData {
            version: env!("CARGO_PKG_VERSION"),
            live: false,
            runs: vec![run],
            differences: Vec::new(),
            findings,
        }
    }

    /// Several runs side by side.
    pub fn comparing(runs: Vec<RunRecord>) -> Self {
        let differences = differences(&runs);
        let findings = Findings::default();
        ReportData { version: env!("CARGO_PKG_VERSION"), live: false, runs, differences, findings }
    }
}

fn differences(runs: &[RunRecord]) -> Vec<Difference> {
    let keys: BTreeSet<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
    let values = |key: &str| runs.iter().map(|run| run.settings.get(key).cloned()).collect();
    let mut rows: Vec<Difference> =
        keys.into_iter().map(|key| Difference { key: key.clone(), values: values(key) }).collect();
    let devices = runs.iter().map(|run| Some(run.device_name().into())).collect();
    rows.push(Difference { key: "device in use".into(), values: devices });
    rows.retain(|row| row.values.windows(2).any(|pair| pair[0] != pair[1]));
    rows
}

/// The layers of a model.
///
/// # Errors
/// [`crate::Error::Input`] for a model that is not sound.
pub fn model_table(model: &Model) -> Result<ModelTable> {
    let rows = model.layers.iter().zip(model.infer()?).map(|(layer, inferred)| {
        let params = inferred.params.iter().map(|param| param.elements() as u64).sum();
        (layer.describe(), inferred.shape, params)
    });
    let by_pixel = model.is_segmentation()?;
    let digits = !by_pixel && !model.reads_table() && model.preparation() == Prepare::Digits;
    let (name, input) = (model.name.clone(), model.input.clone());
    let text = TextTask::of(model);
    Ok(ModelTable { name, input, reads: model.reads(), digits, by_pixel, text, layers: rows.collect() })
}

/// Names of all classes: those from the data, then numbers.
///
/// # Errors
/// [`crate::Error::Input`] for a model that is not sound.
pub fn class_names(model: &Model) -> Result<Vec<String>> {
    let named = |output: usize| match model.task {
        Task::Answers => model.answer_name(output),
        Task::Classify | Task::Next | Task::Regress { .. } => model.class_name(output),
    };
    Ok((0..model.classes()?).map(named).collect())
}

/// Finds out what the page says of a net: on the trainer's device what it makes of the test set and how long its kernels
/// take, on the native CPU what it looks like inside. The trainer's own weights are of no use afterwards.
///
/// # Errors
/// Those of the device. Parts that fail for a reason of their own are left out, and the reason is in
/// [`Findings::missing`].
pub async fn gather(
    trainer: &mut Trainer,
    device: &str,
    batch_size: usize,
    model: &Model,
    weights: &Weights,
    data: &Dataset,
) -> Result<Findings> {
    let mut findings = match &model.task {
        Task::Classify if model.is_segmentation()? => {
            let (predicted, loss, confusion) = trainer.test_masks().await?;
            let masks = Some(masks::results(data, &predicted)?);
            Findings { masks, ..seen_by_pixel(model, weights, data, TestResults::of_pixels(&confusion, loss))? }
        }
        Task::Classify => seen(model, weights, data, &trainer.test_logits().await?)?,
        Task::Next if model.translates() => {
            let found = alignments(model, weights, &data.test).await?;
            Findings { alignments: found, ..look(model, weights, data, "The net translates, and does not classify.")? }
        }
        Task::Next => look(model, weights, data, "The net generates text, and does not classify it.")?,
        Task::Answers => {
            let (truth, logits) = (answers_of(&data.test)?, trainer.test_logits().await?);
            let name = |at| model.answer_name(at);
            let answers = targets::answers(&truth, &logits, model.classes()?, name)?;
            Findings {
                answers: Some(answers),
                ..look(model, weights, data, "The net gives yes-or-no answers, not classes.")?
            }
        }
        Task::Regress { .. } => {
            let numbers = targets::numbers(model, &trainer.test_numbers().await?);
            Findings { numbers, ..look(model, weights, data, "The net predicts numbers, not classes.")? }
        }
    };
    texts::look(&mut findings, model, weights, data);
    match heads::heads(model, weights, &data.test) {
        Ok(found) => findings.heads = found,
        Err(error) => findings.lacks("heads", error.to_string()),
    }
    match trainer.kernel_times().await {
        Ok(Some(kernels)) => findings.timings = Some(Timings { device: device.into(), batch_size, kernels }),
        Ok(None) => findings.lacks("timings", format!("{device} has no timestamps, so its kernels were not timed.")),
        Err(error) => findings.lacks("timings", error.to_string()),
    }
    Ok(findings)
}

/// The part of the findings that needs no device: from the logits of the test set, [samples, classes].
///
/// # Errors
/// [`crate::Error::Input`] if logits and data, or model and weights do not fit.
pub fn seen(model: &Model, weights: &Weights, data: &Dataset, logits: &[f32]) -> Result<Findings> {
    let classes = class_names(model)?;
    let (test, labels) = (&data.test, data.test.labels());
    let confusion = match classes.len() {
        0..=MOST_CLASSES => Ok(TestResults::new(logits, &labels, classes.len())?),
        many => Err(format!("{many} classes are too many for a confusion matrix.")),
    };
    let mut top = TopCount::default();
    logits.chunks(classes.len().max(1)).zip(&labels).for_each(|(row, label)| top.add(row, *label));
    let top5_accuracy = top.accuracy(classes.len());
    if model.reads_table() || model.text.is_some() {
        let why = format!("The net reads {}, not images.", if model.text.is_some() { "text" } else { "a table" });
        let wrong_texts = wrong_texts(model, test, logits, &labels)?;
        let mut findings = Findings { top5_accuracy, wrong_texts, ..look(model, weights, data, &why)? };
        findings.counted(confusion);
        return Ok(findings);
    }
    let mut findings = Findings {
        model: Some(model_table(model)?),
        filters: pictures::filters(model, weights)?,
        top5_accuracy,
        classes,
        ..Findings::default()
    };
    findings.counted(confusion);
    if findings.filters.is_none() {
        findings.lacks("filters", "The first layer with weights does not read pixels.".into());
    }
    let mut inside = match Inside::new(model) {
        Ok(inside) => inside,
        Err(error) => {
            findings.lacks("maps", error.to_string());
            findings.lacks("mistakes", error.to_string());
            return Ok(findings);
        }
    };
    inside.set_weights(weights)?;
    let name = |class: usize| findings.classes.get(class).cloned().unwrap_or_default();
    let label = labels.first().map(|label| name(*label as usize));
    let mut maps = pictures::maps(model, &mut inside, &test.image(0)?, label)?;
    maps.name = test.name_of(0).map(String::from);
    findings.maps = Some(maps);
    for (index, answer) in surest_mistakes(logits, &labels, findings.classes.len(), MISTAKES) {
        let pixels = &*test.image(index)?;
        let sample = inside.normalised(pixels);
        inside.run(sample)?;
        findings.mistakes.push(Mistake {
            index,
            name: test.name_of(index).map(String::from),
            label: labels[index] as usize,
            guesses: likeliest(&answer.probabilities, GUESSES),
            picture: Picture::image(pixels, model.image()?),
            saliency: pictures::saliency(model, &mut inside, answer.class)?,
        });
    }
    Ok(findings)
}

/// `seen` of a model that tells the class of each pixel, which `confusion` has counted.
fn seen_by_pixel(model: &Model, weights: &Weights, data: &Dataset, confusion: TestResults) -> Result<Findings> {
    let why = "The net predicts a class for each pixel, not for an image.";
    Ok(Findings { confusion: Some(confusion), ..look(model, weights, data, why)? })
}

/// The inside of a net, and the feature maps of a sample if it reads images; `why` there are no mistakes of
/// images.
fn look(model: &Model, weights: &Weights, data: &Dataset, why: &str) -> Result<Findings> {
    let mut findings =
        Findings { model: Some(model_table(model)?), classes: class_names(model)?, ..Findings::default() };
    findings.lacks("mistakes", why.into());
    if model.reads_table() || model.text.is_some() {
        let why = format!("The net reads {}, not images.", if model.text.is_some() { "text" } else { "a table" });
        ["filters", "maps"].into_iter().for_each(|part| findings.lacks(part, why.clone()));
        return Ok(findings);
    }
    findings.filters = pictures::filters(model, weights)?;
    if findings.filters.is_none() {
        findings.lacks("filters", "The first layer with weights does not read pixels.".into());
    }
    match Inside::new(model) {
        Ok(mut inside) => {
            inside.set_weights(weights)?;
            let mut maps = pictures::maps(model, &mut inside, &data.test.image(0)?, None)?;
            maps.name = data.test.name_of(0).map(String::from);
            findings.maps = Some(maps);
        }
        Err(error) => findings.lacks("maps", error.to_string()),
    }
    Ok(findings)
}

/// The classes with the largest probabilities, the largest first.
pub fn likeliest(probabilities: &[f64], count: usize) -> Vec<(usize, f64)> {
    let mut all: Vec<(usize, f64)> = probabilities.iter().copied().enumerate().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(count);
    all
}

impl Findings {
    /// Takes the counts of the test set, or why there are none.
    fn counted(&mut self, confusion: std::result::Result<TestResults, String>) {
        match confusion {
            Ok(confusion) => self.confusion = Some(confusion),
            Err(why) => self.lacks("confusion", why),
        }
    }

    /// Notes why a part is not there.
    pub fn lacks(&mut self, part: &'static str, why: String) {
        self.missing.insert(part, why);
    }
}
