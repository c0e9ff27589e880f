//! Models: a list of layers with what the input needs, from a preset, a builder, a file or a weight file.

mod build;
pub mod formats;
pub mod init;
pub mod layers;
pub mod lora;
pub mod mode;
mod modules;
pub mod normalise;
pub mod presets;
pub mod sequential;
mod summary;
pub mod task;
mod tokens;

pub use formats::weights::Weights;
pub use layers::params::{Inferred, ParamSpec};
pub use layers::{Inputs, Layer, LayerEntry};
pub use mode::{Build, Mode};
pub use sequential::Sequential;
pub use task::{Scale, Task};

use crate::error::{Error, Result, in_context};
use crate::ir::element::Prepare;
use crate::text::Tokenizer;
use layers::{Embedding, LARGEST, elements};
use lora::Lora;
use normalise::ChannelNorm;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The scaling of a byte of the data before the first layer: `byte · scale + shift`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// The factor for a byte.
    pub scale: f32,
    /// The summand after that.
    pub shift: f32,
}

impl Default for Normalisation {
    /// Bytes to 0–1.
    fn default() -> Self {
        Normalisation { scale: 1.0 / 255.0, shift: 0.0 }
    }
}

/// Layers, each of which reads the result before it or earlier ones, from one field of a sample (an image [height, width,
/// channels], a row of numbers) to what its [`Task`] asks for: a logit for each class, of the sample or of each pixel; a
/// logit for each answer; a number for each target.
///
/// The order of the fields is that of the canonical JSON. The default has neither layers nor input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The preset's name, or the stem of the model file; it also names the run folder.
    pub name: String,
    /// The sizes of a sample's input: height, width and channels of an image, the columns of a table.
    pub input: Vec<usize>,
    /// The layers, in order; the parameters of the N-th are `N.weight` and `N.bias`.
    pub layers: Vec<LayerEntry>,
    /// How bytes become the floats that the first layer reads.
    pub normalisation: Normalisation,
    /// How each channel is normalised after that; left out of files where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalise: Option<ChannelNorm>,
    /// Names of the first classes, those that the training data had; empty before.
    pub class_names: Vec<String>,
    /// The fields of the data that the first layer reads: one, or none for the data's first field, which is left out of files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// The task of the model; left out of files for classes.
    #[serde(default, skip_serializing_if = "Task::is_classify")]
    pub task: Task,
    /// How a picture becomes what the model reads; none if the file is an older one, or of a model that reads no images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare: Option<Prepare>,
    /// The tokens of a model that reads text; left out of files where it reads something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Tokenizer>,
    /// The tokens of a model that translates: those that it writes; the last two begin and end a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Tokenizer>,
    /// The columns of a table that the model reads, and how each is standardised; none of a model that reads images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Scale>,
    /// The adapters of its weights, if it has some; none of most files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<Lora>,
}

impl Model {
    /// Shapes and parameters of every layer, for one sample.
    ///
    /// # Errors
    /// [`Error::Input`] with the first layer that does not fit, and where the parameters of all layers
    /// together are more than [`LARGEST`].
    pub fn infer(&self) -> Result<Vec<Inferred>> {
        let input = &self.input;
        if self.layers.len() > MOST_LAYERS {
            return Err(self.says(too_many(self.layers.len())));
        }
        let mut total = 0;
        let mut shapes: Vec<Vec<usize>> = Vec::with_capacity(self.layers.len());
        let mut inferred: Vec<Inferred> = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let inputs = layer.inputs(index, input, &shapes).map_err(|error| self.error(error))?;
            let inputs: Vec<&[usize]> = inputs.into_iter().map(|shape| &shape[..]).collect();
            let result = layer.infer(index, &inputs).map_err(|error| self.error(error))?;
            if let Some(tied) = layer.tied {
                let weight = layer.tied_weight(index, &inputs).map_err(|error| self.error(error))?;
                let embeddings = inferred.get_mut(tied).filter(|_| self.layers[tied].is::<Embedding>());
                weight.tie(embeddings).map_err(|why| self.error(layer.error(index, why)))?;
            }
            shapes.push(result.shape.clone());
            total += result.params.iter().map(|p| p.elements() as u64).sum::<u64>();
            if total > LARGEST as u64 {
                return Err(
                    self.says(format!("found {total} parameters up to layer {index}, expected at most {LARGEST}"))
                );
            }
            inferred.push(result);
        }
        Ok(inferred)
    }

    /// Every parameter, in the order of the layers, weights before bias; then those of adapters.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::infer`].
    pub fn params(&self) -> Result<Vec<ParamSpec>> {
        let mut params: Vec<ParamSpec> = self.infer()?.into_iter().flat_map(|layer| layer.params).collect();
        let adapters = self.lora.as_ref().map_or_else(Vec::new, |lora| lora.params(&params));
        params.extend(adapters);
        Ok(params)
    }

    /// The number of outputs, which are classes, answers or targets: the features of the last layer, or the channels where it
    /// ends in an image as large as the input, which then is a score for each pixel.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::infer`], and where the last layer ends in another image.
    pub fn classes(&self) -> Result<usize> {
        Ok(self.end()?.1)
    }

    /// Targets that a sample has: 1, or height × width of a model that tells the class of each pixel.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::classes`].
    pub fn positions(&self) -> Result<usize> {
        Ok(self.end()?.0.unwrap_or(1))
    }

    /// Whether the model tells the class of each pixel.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::classes`].
    pub fn is_segmentation(&self) -> Result<bool> {
        Ok(self.input.len() == 3 && self.end()?.0.is_some())
    }

    /// The number of pixels, where each has a class; and the number of outputs.
    fn end(&self) -> Result<(Option<usize>, usize)> {
        match self.infer()?.last().map(|last| &last.shape[..]) {
            Some(&[outputs]) => Ok((None, outputs)),
            Some(&[length, tokens]) if self.task == Task::Next && self.written() == Some(length) => {
                Ok((Some(length), tokens))
            }
            Some(&[height, width, classes])
                if self.input.len() == 3
                    && self.input[..2] == [height, width]
                    && classes > 1
                    && self.task.is_classify() =>
            {
                Ok((Some(height * width), classes))
            }
            Some(shape) => {
                let pixels = match self.input[..] {
                    [height, width, _] if self.task.is_classify() => {
                        // What was halved and doubled again has another size where that does not come out even.
                        let near = shape.len() == 3 && shape[0].abs_diff(height).max(shape[1].abs_diff(width)) < 32;
                        let sizes = "; height and width must be multiples of all that the net halves them by: --image-size sets them";
                        let hint = if near { sizes } else { "" };
                        format!(", or [{height}, {width}, classes] for a class for each pixel{hint}")
                    }
                    [length] if self.text.is_some() => {
                        let length = self.written().unwrap_or(length);
                        format!(", or [{length}, tokens] for the next token at each place")
                    }
                    _ => String::new(),
                };
                let outputs = self.task.outputs();
                let expected = format!("expected [{outputs}], as a flatten and a dense layer give{pixels}");
                Err(self.says(format!("found {shape:?} after the last layer, {expected}")))
            }
            None => Err(self.says("found no layers, expected at least one".into())),
        }
    }

    /// Height, width and channels of the images that the model reads.
    ///
    /// # Errors
    /// [`Error::Input`] for a model that reads no images.
    pub fn image(&self) -> Result<[usize; 3]> {
        let input = &self.input;
        let image = if self.columns.is_empty() && self.text.is_none() { input[..].try_into().ok() } else { None };
        image.ok_or_else(|| self.says(format!("it reads {}, expected images", self.reads())))
    }

    /// How a picture becomes what the model reads. Where the file does not say it, that is as a digit for 28 × 28 and one channel,
    /// and resized for all else.
    pub fn preparation(&self) -> Prepare {
        let guessed = if self.input == [28, 28, 1] { Prepare::Digits } else { Prepare::Resize };
        self.prepare.unwrap_or(guessed)
    }

    /// What is counted of samples, and how much of it each has: images; tokens of a text that the model continues; else samples.
    pub fn things(&self) -> (&'static str, usize) {
        let is_stream = self.task == Task::Next && !self.translates() && self.document_ends().is_none();
        match (&self.text, self.input.len()) {
            (Some(_), _) if is_stream => ("tokens", self.input[0]),
            (None, 3) => ("images", 1),
            _ => ("samples", 1),
        }
    }

    /// Whether the model reads rows of a table.
    pub fn reads_table(&self) -> bool {
        !self.columns.is_empty()
    }

    /// The name of the field of the data that the first layer reads, where the model says it.
    pub fn input_name(&self) -> Option<&str> {
        self.inputs.first().map(String::as_str)
    }

    /// The name of a class, or its number if it has none.
    pub fn class_name(&self, class: usize) -> String {
        let tokens = self.target.as_ref().or(self.text.as_ref());
        let tokens = tokens.filter(|_| self.task == Task::Next).map(Tokenizer::tokens);
        tokens.unwrap_or(&self.class_names).get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// The name of a yes-or-no answer; for a single answer of two classes, the name of the second class.
    pub fn answer_name(&self, answer: usize) -> String {
        match &self.class_names[..] {
            [_, yes] if answer == 0 && self.classes() == Ok(1) => yes.clone(),
            _ => self.class_name(answer),
        }
    }

    /// Whether the whole model is sound.
    ///
    /// # Errors
    /// [`Error::Input`] for shapes that do not fit, a model without parameters, a name that is not a file name,
    /// more class names than classes, and a normalisation that is not finite.
    pub fn check(&self) -> Result<()> {
        if elements(&self.input).is_none() {
            return Err(self.says(format!("found input = {:?}, expected 1 to {LARGEST} elements", self.input)));
        }
        let named = |name: &String| !name.is_empty() && name.len() <= 200 && !name.contains(char::is_control);
        if self.inputs.len() > 1 || !self.inputs.iter().all(named) {
            return Err(self.says(format!("found inputs = {:?}, expected the name of one field", self.inputs)));
        }
        self.check_scales()?;
        self.check_tokens()?;
        let classes = self.classes()?;
        if self.params()?.is_empty() {
            return Err(self.says("found no parameters, expected at least one dense or conv2d layer".into()));
        }
        self.check_states()?;
        self.check_modules()?;
        self.check_lora()?;
        let mut read: HashSet<Option<usize>> =
            self.layers.iter().enumerate().flat_map(|(index, layer)| layer.places(index)).collect();
        read.extend(self.layers.iter().map(|layer| layer.state).filter(Option::is_some));
        if let Some(unread) = (0..self.layers.len() - 1).find(|&index| !read.contains(&Some(index))) {
            let why = "found no layer that reads its result, expected one, by its place or by `from`";
            return Err(self.error(self.layers[unread].error(unread, why.into())));
        }
        // A single yes-or-no answer may name both: no and yes.
        let most = if self.task == Task::Answers && classes == 1 { 2 } else { classes };
        if self.class_names.len() > most {
            return Err(self.says(format!("found {} class names, expected at most {most}", self.class_names.len())));
        }
        let Normalisation { scale, shift } = self.normalisation;
        if !scale.is_finite() || !shift.is_finite() {
            return Err(self.says(format!("found a normalisation by {scale} and {shift}, expected finite numbers")));
        }
        self.normalise.as_ref().map_or(Ok(()), |norm| norm.check(&self.input)).map_err(|why| self.says(why))?;
        // On Windows a name with a colon begins with a drive, or names a stream of another file.
        let divides = |c: char| c == '/' || c == '\\' || c == ':' && cfg!(windows);
        let is_path = self.name.contains(|c: char| divides(c) || c.is_control());
        if is_path || ["", ".", ".."].contains(&&*self.name) || self.name.len() > 200 {
            return Err(self.says("found a name that is no file name, expected 1 to 200 bytes without / and \\".into()));
        }
        Ok(())
    }

    /// Whether columns and targets are named and standardised soundly, one for each input and output.
    fn check_scales(&self) -> Result<()> {
        let (columns, targets) = (&self.columns[..], self.task.targets());
        if !columns.is_empty() && self.input != [columns.len()] {
            let (columns, input) = (columns.len(), &self.input);
            return Err(self.says(format!("found {columns} columns, but input = {input:?}: expected as many of both")));
        }
        if matches!(self.task, Task::Regress { .. }) && targets.len() != self.classes()? {
            let (found, outputs) = (targets.len(), self.classes()?);
            return Err(self.says(format!("found {found} targets, but {outputs} outputs: expected as many of both")));
        }
        for names in [columns, targets] {
            let twice =
                |at: &usize| names[*at].name.is_empty() || names[..*at].iter().any(|x| x.name == names[*at].name);
            if let Some(at) = (0..names.len()).find(twice) {
                let found = names[at].name.escape_debug();
                return Err(self.says(format!("found the column '{found}' in place {at}, expected a name of its own")));
            }
        }
        match columns.iter().chain(targets).find(|scale| !scale.is_sound()) {
            None => Ok(()),
            Some(Scale { name, mean, deviation }) => Err(self.says(format!(
                "column {}: found mean {mean} and deviation {deviation}, expected finite numbers, the deviation above 0",
                name.escape_debug()
            ))),
        }
    }

    /// The canonical JSON that describes the model: one text for one model.
    ///
    /// # Errors
    /// [`Error::Input`] if the model is not sound, or has a layer of an application's own.
    pub fn to_json(&self) -> Result<String> {
        self.check()?;
        if let Some(at) = self.layers.iter().position(|layer| layer.stored().is_none()) {
            let kind = self.layers[at].type_name();
            return Err(self.says(format!("layer {at} ({kind}) is an application's own, which no file can describe")));
        }
        serde_json::to_string(self).map_err(|error| Error::failed(format!("model {}: {error}", self.name)))
    }

    /// The model that a canonical JSON describes.
    ///
    /// # Errors
    /// [`Error::Input`] for malformed JSON, unknown, missing or repeated keys, and a model that is not sound.
    pub fn from_json(text: &str) -> Result<Self> {
        let model: Model = serde_json::from_str(text).map_err(|error| {
            Error::input(format!("the description of the model is not as wgrad writes it: {error}"))
        })?;
        model.check()?;
        Ok(model)
    }

    fn says(&self, why: String) -> Error {
        self.error(Error::Input(why))
    }

    fn error(&self, error: Error) -> Error {
        in_context(&format!("model {}", self.name.escape_debug()), error)
    }
}

/// The most layers of a model.
pub const MOST_LAYERS: usize = 10_000;

/// Why a model of that many layers is none.
pub(in crate::model) fn too_many(layers: usize) -> String {
    format!("found {layers} layers, expected at most {MOST_LAYERS}")
}

/// An input in words.
fn described(input: &[usize]) -> String {
    match input {
        [columns] => format!("rows of {columns} numbers"),
        [height, width, channels] => format!("{:?} (height, width, channels)", [height, width, channels]),
        other => format!("{other:?}"),
    }
}
