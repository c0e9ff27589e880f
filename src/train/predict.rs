//! The library in a few lines: `Model::fit`, `Model::load` and `TrainedModel::predict`.

use super::engine::Engine;
use super::options::TrainOptions;
use super::step::Step;
use super::trainer::{Event, Metrics, Trainer};
use crate::control::Control;
use crate::data::{Dataset, Split};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::weights::Weights;
use crate::values::Values;
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
    /// [`Error::Input`] where model, data and options do not fit each other or the device.
    pub async fn fit(
        &self,
        data: &Dataset,
        options: &TrainOptions,
        device: &Device,
        observe: impl FnMut(Event) -> ControlFlow<()>,
    ) -> Result<(TrainedModel, Vec<Metrics>)> {
        let mut trainer = Trainer::new(device, self, data, options, None)?;
        let metrics = trainer.fit(observe).await?;
        let weights = trainer.weights().await?;
        Ok((TrainedModel { model: self.clone(), weights }, metrics))
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
    /// [`Error::Input`] where the pixels are no whole number of images.
    pub fn predict(&self, pixels: &[u8]) -> Result<Vec<Vec<f32>>> {
        pollster::block_on(self.predict_on(&Device::cpu(0)?, pixels))
    }

    /// `predict` on a device.
    pub async fn predict_on(&self, device: &Device, pixels: &[u8]) -> Result<Vec<Vec<f32>>> {
        let size: usize = self.model.input.iter().product();
        if pixels.is_empty() || !pixels.len().is_multiple_of(size) {
            return Err(Error::input(format!("{} pixels: a multiple of {size} is expected", pixels.len())));
        }
        let step = Step::evaluation(&self.model, BATCH, BATCH)?;
        let mut engine = Engine::new(device, step.graph.clone(), step.log)?;
        let weights = self.weights.to_graph(&step.graph)?;
        engine.write_all(weights.into_iter().map(|(tensor, values)| (tensor, Values::Float(values))))?;
        let classes = self.model.classes()?;
        let mut all = Vec::with_capacity(pixels.len() / size);
        for images in pixels.chunks(BATCH * size) {
            let count = images.len() / size;
            let mut batch = images.to_vec();
            batch.resize(BATCH * size, 0);
            engine.write_all(step.data(&Split::new(self.model.input, batch, vec![0; BATCH])?))?;
            let control = Control { valid: count as u32, ..step.start(0, 1.0, [0.0; 2]) };
            engine.write(step.control, Values::Word(control.words()))?;
            engine.restart();
            engine.submit(1)?;
            engine.collect().await?;
            let Values::Float(logits) = engine.read(step.logits).await? else {
                return Err(Error::failed("logits are not floats"));
            };
            all.extend(logits.chunks(classes).take(count).map(softmax));
        }
        Ok(all)
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::MIN, f32::max);
    let powers: Vec<f32> = logits.iter().map(|x| (x - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}
