//! Models: a list of layers with what the input needs, from a preset, a builder, a file or a weight file.

pub mod formats;
pub mod init;
pub mod layers;
pub mod mode;
pub mod presets;
pub mod sequential;
mod summary;

pub use formats::weights::Weights;
pub use layers::params::{Inferred, ParamSpec};
pub use layers::{Inputs, Layer, LayerEntry};
pub use mode::{Build, Mode};
pub use sequential::Sequential;

use crate::error::{Error, Result, in_context};
use crate::ir::graph::{Graph, Tensor};
use layers::{LARGEST, elements};
use serde::{Deserialize, Serialize};

/// What a byte of the data becomes before the first layer: `byte · scale + shift`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// What a byte is multiplied by.
    pub scale: f32,
    /// What is added then.
    pub shift: f32,
}

impl Default for Normalisation {
    /// Bytes to 0–1.
    fn default() -> Self {
        Normalisation { scale: 1.0 / 255.0, shift: 0.0 }
    }
}

/// A classifier of images, or of their pixels: layers, each of which reads the result before it or earlier ones, from
/// [height, width, channels] to one logit per class, or to one per class for each pixel.
///
/// The order of the fields is that of the canonical JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The preset's name, or the stem of the model file; it also names the run folder.
    pub name: String,
    /// Height, width and channels of an image.
    pub input: [usize; 3],
    /// The layers, in order; the parameters of the N-th are `N.weight` and `N.bias`.
    pub layers: Vec<LayerEntry>,
    /// How bytes become the floats that the first layer reads.
    pub normalisation: Normalisation,
    /// Names of the first classes, those that the training data had; empty before.
    pub class_names: Vec<String>,
}

impl Model {
    /// Shapes and parameters of every layer, for one sample.
    ///
    /// # Errors
    /// [`Error::Input`] with the first layer that does not fit, and where the parameters of all layers
    /// together are more than [`LARGEST`].
    pub fn infer(&self) -> Result<Vec<Inferred>> {
        let input = self.input.to_vec();
        let mut total = 0;
        let mut shapes: Vec<Vec<usize>> = Vec::with_capacity(self.layers.len());
        let mut inferred: Vec<Inferred> = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let inputs = layer.inputs(index, &input, &shapes).map_err(|error| self.error(error))?;
            let inputs: Vec<&[usize]> = inputs.into_iter().map(|shape| &shape[..]).collect();
            let result = layer.infer(index, &inputs).map_err(|error| self.error(error))?;
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

    /// Every parameter, in the order of the layers, weights before bias.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::infer`].
    pub fn params(&self) -> Result<Vec<ParamSpec>> {
        Ok(self.infer()?.into_iter().flat_map(|layer| layer.params).collect())
    }

    /// The number of classes: the features of the last layer, or the channels where it ends in an image as large as the
    /// input, which then is a score a pixel.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::infer`], and where the last layer ends in another image.
    pub fn classes(&self) -> Result<usize> {
        Ok(self.end()?.1)
    }

    /// Labels that a sample has: 1, or height × width of a model that tells the class of each pixel.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::classes`].
    pub fn places(&self) -> Result<usize> {
        Ok(self.end()?.0.unwrap_or(1))
    }

    /// Whether the model tells the class of each pixel.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Model::classes`].
    pub fn is_segmentation(&self) -> Result<bool> {
        Ok(self.end()?.0.is_some())
    }

    /// Pixels that are told the class of, where it is not the image's; and the classes.
    fn end(&self) -> Result<(Option<usize>, usize)> {
        match self.infer()?.last().map(|last| &last.shape[..]) {
            Some(&[classes]) => Ok((None, classes)),
            Some(&[height, width, classes]) if self.input[..2] == [height, width] && classes > 1 => {
                Ok((Some(height * width), classes))
            }
            Some(shape) => Err(self.says(format!(
                "found {shape:?} behind the last layer, expected [classes], as a flatten and a dense layer give, or \
                 [{}, {}, classes] for a class a pixel",
                self.input[0], self.input[1]
            ))),
            None => Err(self.says("found no layers, expected at least one".into())),
        }
    }

    /// What a class is called: its name, or its number where it has none.
    pub fn class_name(&self, class: usize) -> String {
        self.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// Whether the whole model is sound.
    ///
    /// # Errors
    /// [`Error::Input`] for shapes that do not fit, a model without parameters, a name that is no file name,
    /// more class names than classes, and a normalisation that is not finite.
    pub fn check(&self) -> Result<()> {
        if elements(&self.input).is_none() {
            return Err(self.says(format!("found input = {:?}, expected 1 to {LARGEST} elements", self.input)));
        }
        let classes = self.classes()?;
        if self.params()?.is_empty() {
            return Err(self.says("found no parameters, expected at least one dense or conv2d layer".into()));
        }
        let read: Vec<Option<usize>> =
            self.layers.iter().enumerate().flat_map(|(index, layer)| layer.places(index)).collect();
        if let Some(unread) = (0..self.layers.len() - 1).find(|&index| !read.contains(&Some(index))) {
            let why = "found no layer that reads its result, expected one, by its place or by `from`";
            return Err(self.error(self.layers[unread].error(unread, why.into())));
        }
        if self.class_names.len() > classes {
            return Err(self.says(format!("found {} class names, expected at most {classes}", self.class_names.len())));
        }
        let Normalisation { scale, shift } = self.normalisation;
        if !scale.is_finite() || !shift.is_finite() {
            return Err(self.says(format!("found a normalisation by {scale} and {shift}, expected finite numbers")));
        }
        // On Windows a name with a colon begins with a drive, or names a stream of another file.
        let divides = |c: char| c == '/' || c == '\\' || c == ':' && cfg!(windows);
        let is_path = self.name.contains(|c: char| divides(c) || c.is_control());
        if is_path || ["", ".", ".."].contains(&&*self.name) || self.name.len() > 200 {
            return Err(self.says("found a name that is no file name, expected 1 to 200 bytes without / and \\".into()));
        }
        Ok(())
    }

    /// Adds the whole model to the graph behind x [batch, height, width, channels] and gives its logits
    /// [batch, classes], or [batch, height, width, classes]; `build` says what for.
    ///
    /// # Errors
    /// [`Error::Input`] where x has another shape, the batch is too large, or [`Model::check`] would fail.
    pub fn build(&self, graph: &mut Graph, x: Tensor, build: Build) -> Result<Tensor> {
        self.check()?;
        if graph.shape(x).get(1..) != Some(&self.input[..]) {
            let expected = format!("expected a batch of {:?} (height, width, channels)", self.input);
            return Err(self.says(format!("found an input of shape {}, {expected}", graph.info(x).shape)));
        }
        Ok(self.build_each(graph, x, build)?.last().copied().unwrap_or(x))
    }

    /// Adds every layer behind x, and gives the result of each.
    pub(crate) fn build_each(&self, graph: &mut Graph, x: Tensor, build: Build) -> Result<Vec<Tensor>> {
        let mut results: Vec<Tensor> = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let inputs = layer.inputs(index, &x, &results);
            let inputs = inputs.map(|inputs| inputs.into_iter().copied().collect::<Vec<_>>());
            let result = inputs.and_then(|inputs| layer.build(index, graph, &inputs, build));
            results.push(result.map_err(|error| self.error(error))?);
        }
        Ok(results)
    }

    /// The canonical JSON that describes the model: one text for one model.
    ///
    /// # Errors
    /// [`Error::Input`] where the model is not sound, or has a layer of an application's own.
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
