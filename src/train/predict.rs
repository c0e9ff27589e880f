//! The library in a few lines: `Model::fit`, `Model::load`, `TrainedModel::predict` and `Predictor`.

use crate::data::Dataset;
use crate::data::column::padded;
use crate::data::tokens::stored;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ir::graph::Tensor;
use crate::ir::values::Values;
use crate::model::formats::weights::Weights;
use crate::model::{Model, Task};
use crate::step::control::Control;
use crate::text::NO_TOKEN;
use crate::train::epochs::engine::Engine;
use crate::train::epochs::scores::sigmoid;
use crate::train::epochs::trainer::{Event, Metrics, Trainer};
use crate::train::settings::options::TrainOptions;
use crate::train::step::Step;
use std::ops::ControlFlow;
use std::path::Path;

/// Images of a batch.
const BATCH: usize = 128;

/// A model with its weights.
#[derive(Clone, Debug)]
pub struct TrainedModel {
    /// The model.
    pub model: Model,
    /// Its weights, in the weight file's order.
    pub weights: Weights,
}

impl Model {
    /// Trains from a Glorot-uniform start; `observe` sees every step and epoch, and stops the run by a break.
    ///
    /// # Errors
    /// [`Error::Input`] if model, data and options do not fit each other or the device.
    pub async fn fit(
        &self,
        data: &Dataset,
        options: &TrainOptions,
        device: &Device,
        observe: impl FnMut(Event) -> ControlFlow<()>,
    ) -> Result<(TrainedModel, Vec<Metrics>)> {
        let model = self.suited(data, options.loss)?;
        let mut trainer = Trainer::new(device, &model, data, options, None)?;
        let metrics = trainer.fit(observe).await?;
        let weights = trainer.weights().await?;
        Ok((TrainedModel { model, weights }, metrics))
    }

    /// Reads a `model.safetensors` that wgrad wrote.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is no such thing, or does not describe its model.
    pub fn load(path: impl AsRef<Path>) -> Result<TrainedModel> {
        let path = path.as_ref();
        let (model, weights) = Weights::load(path)?;
        let missing = || {
            let place = path.display();
            Error::input(format!("{place}: it does not describe its model; wgrad import makes one that does"))
        };
        let model = model.ok_or_else(missing)?;
        weights.check_against(&model).map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
        Ok(TrainedModel { model, weights })
    }
}

impl TrainedModel {
    /// Writes a `model.safetensors`.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.weights.save(path.as_ref(), &self.model)
    }

    /// Probabilities, `classes` for each image, for pixels 0–255 in the order [images, height, width, channels], on the
    /// native CPU.
    ///
    /// # Errors
    /// [`Error::Input`] if the pixels are no whole number of images.
    pub fn predict(&self, pixels: &[u8]) -> Result<Vec<Vec<f32>>> {
        pollster::block_on(self.predict_on(&Device::cpu(0)?, pixels))
    }

    /// `predict` on a device. Whoever asks more than once builds a [`Predictor`].
    ///
    /// # Errors
    /// As [`TrainedModel::predict`].
    pub async fn predict_on(&self, device: &Device, pixels: &[u8]) -> Result<Vec<Vec<f32>>> {
        let images = pixels.len() / self.model.input.iter().product::<usize>();
        Predictor::new(device, self, images.clamp(1, BATCH))?.predict(pixels).await
    }
}

/// A trained model on a device, ready for many predictions.
#[derive(Debug)]
pub struct Predictor {
    step: Step,
    engine: Engine,
    model: Model,
    classes: usize,
}

impl Predictor {
    /// Builds the model on the device, for batches of `batch` images.
    ///
    /// # Errors
    /// [`Error::Input`] for a batch of 0, and where model and weights do not fit each other or the device.
    pub fn new(device: &Device, trained: &TrainedModel, batch: usize) -> Result<Self> {
        let TrainedModel { model, weights } = trained;
        let step = Step::evaluation(model, batch, batch)?;
        let engine = Engine::new(device, step.graph.clone(), step.log)?;
        let mut new = Predictor { step, engine, model: model.clone(), classes: model.classes()? };
        new.set_weights(weights)?;
        Ok(new)
    }

    /// Takes other weights of the same model.
    ///
    /// # Errors
    /// [`Error::Input`] if they do not fit.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<()> {
        let weights = weights.to_graph(&self.step.graph)?;
        self.engine.write_all(weights.into_iter().map(|(tensor, values)| (tensor, Values::Float(values))))
    }

    /// Probabilities of each image, one for each class, or for each yes-or-no answer; pixels 0–255 in the order [images,
    /// height, width, channels]. A single answer that stands for two classes has a probability for both.
    ///
    /// # Errors
    /// [`Error::Input`] if the pixels are no whole number of images, and for a model that tells the class of each pixel or
    /// gives numbers.
    pub async fn predict(&mut self, pixels: &[u8]) -> Result<Vec<Vec<f32>>> {
        if self.step.mask.is_some() {
            let model = &self.model.name;
            return Err(Error::input(format!("model {model}: it predicts a class for each pixel, not for an image")));
        }
        self.model.image()?;
        let outputs = self.outputs(pixels).await?;
        self.probabilities(&outputs)
    }

    /// The model's output for rows of its columns, [rows, columns] standardised: probabilities, or of a model of
    /// numbers each target in its own units.
    ///
    /// # Errors
    /// [`Error::Input`] if these are no whole number of rows, and for a model that reads images.
    pub async fn rows(&mut self, features: &[f32]) -> Result<Vec<Vec<f64>>> {
        if !self.model.reads_table() {
            return Err(Error::input(format!(
                "model {}: it reads images, expected one that reads a table",
                self.model.name
            )));
        }
        let bytes: Vec<u8> = features.iter().flat_map(|x| x.to_le_bytes()).collect();
        let outputs = self.outputs(&bytes).await?;
        let targets = self.model.task.targets();
        if targets.is_empty() {
            let wide = |row: Vec<f32>| row.into_iter().map(f64::from).collect();
            return Ok(self.probabilities(&outputs)?.into_iter().map(wide).collect());
        }
        let row = |row: &[f32]| row.iter().zip(targets).map(|(x, scale)| scale.restored(*x)).collect();
        Ok(outputs.chunks(self.classes).map(row).collect())
    }

    /// Probabilities of each text, one for each class; and how many texts were cut to the model's length.
    ///
    /// # Errors
    /// [`Error::Input`] for a model that does not tell classes of texts.
    pub async fn texts(&mut self, texts: &[&str]) -> Result<(Vec<Vec<f32>>, usize)> {
        let (stored, cut) = self.samples(texts)?;
        let outputs = self.outputs(&stored).await?;
        Ok((self.probabilities(&outputs)?, cut))
    }

    /// The numbers that a model gives for each text, such as an encoder's; and how many texts were cut to the model's length.
    ///
    /// # Errors
    /// [`Error::Input`] for a model that gives no numbers for texts.
    pub async fn numbers_of_texts(&mut self, texts: &[&str]) -> Result<(Vec<Vec<f32>>, usize)> {
        let Task::Regress { targets } = &self.model.task else {
            let model = &self.model.name;
            return Err(Error::input(format!("model {model}: expected one that gives numbers")));
        };
        let scales: Vec<[f64; 2]> = targets.iter().map(|scale| [scale.mean, scale.deviation]).collect();
        let (stored, cut) = self.samples(texts)?;
        let outputs = self.outputs(&stored).await?;
        let number = |(x, [mean, deviation]): (&f32, &[f64; 2])| (f64::from(*x) * deviation + mean) as f32;
        let rows = outputs.chunks(self.classes).map(|row| row.iter().zip(&scales).map(number).collect());
        Ok((rows.collect(), cut))
    }

    /// Texts as the step stores them, and how many were cut to the model's length.
    fn samples(&self, texts: &[&str]) -> Result<(Vec<u8>, usize)> {
        let tokenizer = self.model.tokenizer()?.clone();
        if self.model.task == Task::Next {
            let name = &self.model.name;
            let does = if self.model.translates() {
                "translates texts, as wgrad predict"
            } else {
                "continues texts, as wgrad generate"
            };
            return Err(Error::input(format!("model {name}: it {does} does")));
        }
        let (length, mut cut, mut tokens) = (self.model.input[0], 0, Vec::new());
        for text in texts {
            let mut found = tokenizer.encode(text);
            found.retain(|token| *token != NO_TOKEN);
            cut += usize::from(found.len() > tokenizer.room(length));
            tokens.extend(tokenizer.sample(found, length));
        }
        Ok((stored(&tokens, &self.step.input().field), cut))
    }

    /// The last layer's result for stored samples, [samples, outputs].
    async fn outputs(&mut self, stored: &[u8]) -> Result<Vec<f32>> {
        match self.run(stored, self.step.logits).await? {
            Values::Float(outputs) => Ok(outputs),
            _ => Err(Error::failed("logits are not floats")),
        }
    }

    fn probabilities(&self, logits: &[f32]) -> Result<Vec<Vec<f32>>> {
        let rows = logits.chunks(self.classes);
        match &self.model.task {
            Task::Classify | Task::Next => Ok(rows.map(softmax).collect()),
            // Both classes of two.
            Task::Answers if self.classes == 1 && self.model.class_names.len() == 2 => {
                Ok(rows.map(|row| vec![sigmoid(-row[0]), sigmoid(row[0])]).collect())
            }
            Task::Answers => Ok(rows.map(|row| row.iter().map(|x| sigmoid(*x)).collect()).collect()),
            Task::Regress { .. } => {
                let model = &self.model.name;
                Err(Error::input(format!("model {model}: it gives numbers, expected one that gives probabilities")))
            }
        }
    }

    /// The class of each pixel, [height, width], of each image; pixels 0–255 in the order [images, height, width,
    /// channels].
    ///
    /// # Errors
    /// [`Error::Input`] if the pixels are no whole number of images, and for a model that tells the class of images.
    pub async fn masks(&mut self, pixels: &[u8]) -> Result<Vec<Vec<u32>>> {
        let Some(mask) = self.step.mask else {
            let model = &self.model.name;
            return Err(Error::input(format!("model {model}: it predicts a class for an image, not for each pixel")));
        };
        let Values::Word(masks) = self.run(pixels, mask).await? else {
            return Err(Error::failed("classes of pixels are not words"));
        };
        Ok(masks.chunks(self.step.positions).map(<[u32]>::to_vec).collect())
    }

    /// The contents of `result` for stored samples, one after the other.
    async fn run(&mut self, pixels: &[u8], result: Tensor) -> Result<Values> {
        let size = self.step.input().field.bytes();
        if pixels.is_empty() || !pixels.len().is_multiple_of(size) {
            let (found, thing) =
                if self.model.reads_table() { (pixels.len() / 4, "numbers") } else { (pixels.len(), "pixels") };
            let size: usize = self.model.input.iter().product();
            return Err(Error::input(format!("{found} {thing}: a multiple of {size} is expected")));
        }
        let batch = self.step.batch;
        let (mut floats, mut words) = (Vec::new(), Vec::new());
        for images in pixels.chunks(batch * size) {
            let count = images.len() / size;
            let mut stored = padded(images, size, self.step.input().field.stride());
            stored.resize(batch * self.step.input().field.stride(), 0);
            self.engine.write(self.step.input().tensor, Values::Byte(stored))?;
            let control = Control { valid: count as u32, ..self.step.start(0, 1.0, [0.0; 2]) };
            self.engine.write(self.step.control, Values::Word(control.words()))?;
            self.engine.restart();
            self.engine.submit(1)?;
            self.engine.collect().await?;
            match self.engine.read(result).await? {
                Values::Float(values) => floats.extend(values.chunks(values.len() / batch).take(count).flatten()),
                Values::Word(values) => words.extend(values.chunks(values.len() / batch).take(count).flatten()),
                Values::Byte(_) => return Err(Error::failed("a result of bytes")),
            }
        }
        Ok(if words.is_empty() { Values::Float(floats) } else { Values::Word(words) })
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::MIN, f32::max);
    let powers: Vec<f32> = logits.iter().map(|x| (x - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}
