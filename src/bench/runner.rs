//! A training step that can be timed: random data, first weights, and many steps a submit as in training.

use crate::data::{Dataset, MOST_CLASSES, Split};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ir::graph::Tensor;
use crate::ir::values::Values;
use crate::model::Model;
use crate::plan::human_bytes;
use crate::step::control::pcg;
use crate::train::epochs::engine::{Engine, Pace};
use crate::train::settings::options::TrainOptions;
use crate::train::step::Step;
use std::time::Instant;

/// The target duration of a repetition, in seconds.
const REPETITION_SECONDS: f64 = 0.2;

/// The most steps of a repetition.
const MOST_STEPS: f64 = 4096.0;

/// The most bytes of random images beyond the one batch that there must be.
const DATA_BYTES: usize = 64 << 20;

/// The most bytes that the images of one batch may have here.
const BATCH_BYTES: usize = 1 << 30;

/// The options of a benched step.
pub fn options(batch: usize) -> TrainOptions {
    TrainOptions { batch_size: batch, epochs: 1, ..TrainOptions::default() }
}

/// Random images and labels for `steps` steps, or as many as fit a small binding; and one batch to test on.
pub fn random_data(model: &Model, batch: usize, steps: usize) -> Result<Dataset> {
    let image = model.image()?;
    let pixels: usize = image.iter().product();
    let bytes = batch.saturating_mul(pixels);
    if batch == 0 || bytes > BATCH_BYTES {
        let (found, most) = (human_bytes(bytes as u64), human_bytes(BATCH_BYTES as u64));
        return Err(Error::input(format!("batch size {batch}: {found} of images, 1 B to {most} are expected")));
    }
    let count = (batch.saturating_mul(steps)).min(DATA_BYTES / pixels).max(batch);
    let classes = model.classes()?.min(MOST_CLASSES) as u32;
    let (positions, masked) = (model.positions()?, model.is_segmentation()?);
    let random = |i: usize| pcg(i as u32);
    let split = |count: usize| {
        let labels = (0..count * positions).map(|i| random(i) % classes);
        let images = (0..count * pixels).map(|i| random(i) as u8).collect();
        // As wide as a step has them where there is no data.
        match (masked, classes > 256) {
            (true, false) => Split::masked(image, images, labels.map(|label| label as u8).collect()),
            (true, true) => Split::masked(image, images, labels.map(|label| label as u16).collect()),
            (false, false) => Split::new(image, images, labels.map(|label| label as u8).collect()),
            (false, true) => Split::new(image, images, labels.map(|label| label as u16).collect()),
        }
    };
    Dataset::new("random", split(count)?, split(batch)?)
}

/// The initial contents of a step's tensors: data, control block, initial weights.
pub fn contents(step: &Step, model: &Model, data: &Split, options: &TrainOptions) -> Result<Vec<(Tensor, Values)>> {
    let control = step.start(0, options.rate(), options.optimizer().betas());
    let mut contents = step.data(data)?;
    contents.push((step.control, Values::Word(control.words())));
    let weights = crate::model::init::glorot_uniform(model, 0)?.to_graph(&step.graph)?;
    contents.extend(weights.into_iter().map(|(tensor, values)| (tensor, Values::Float(values))));
    Ok(contents)
}

/// A step's engine with data and weights in it.
#[derive(Debug)]
pub struct Runner {
    engine: Engine,
    log: Tensor,
    pace: Pace,
    steps: usize,
}

impl Runner {
    /// Builds the step and runs it once.
    pub async fn new(
        device: &Device,
        step: &Step,
        model: &Model,
        data: &Split,
        options: &TrainOptions,
    ) -> Result<Runner> {
        let mut engine = Engine::new(device, step.graph.clone(), step.log)?;
        engine.write_all(contents(step, model, data, options)?)?;
        let mut runner = Runner { engine, log: step.log, pace: Pace::default(), steps: 1 };
        runner.engine.submit(1)?;
        runner.engine.collect().await?;
        // A repetition to size the next ones by.
        runner.milliseconds().await?;
        Ok(runner)
    }

    /// The memory of all buffers, in bytes.
    pub fn bytes(&self) -> u64 {
        self.engine.bytes()
    }

    /// Milliseconds of a step, many steps a submit and two submits in flight.
    pub async fn milliseconds(&mut self) -> Result<f64> {
        let (mut left, begun) = (self.steps, Instant::now());
        while left > 0 || self.engine.in_flight() > 0 {
            while left > 0 && self.engine.in_flight() < 2 {
                let steps = self.pace.of(left);
                self.engine.submit(steps as u32)?;
                left -= steps;
            }
            self.engine.collect().await?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let each = seconds / self.steps as f64;
        self.pace.measured(self.steps, seconds);
        self.steps = (REPETITION_SECONDS / each).clamp(1.0, MOST_STEPS) as usize;
        Ok(each * 1e3)
    }

    /// Milliseconds of the host to hand over a submit of one step, and to read the log back from an idle device.
    pub async fn host_milliseconds(&mut self) -> Result<[f64; 2]> {
        let begun = Instant::now();
        self.engine.submit(1)?;
        let submit = begun.elapsed().as_secs_f64() * 1e3;
        self.engine.collect().await?;
        let begun = Instant::now();
        self.engine.read(self.log).await?;
        Ok([submit, begun.elapsed().as_secs_f64() * 1e3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_its_images_and_no_more_than_can_be_meant() {
        let model = Model::preset("mnist-cnn", [28, 28, 1], 10).unwrap();
        assert_eq!(random_data(&model, 3, 5).unwrap().train.count, 15);
        assert_eq!(random_data(&model, 100_000, 5).unwrap().train.count, 100_000);
        for batch in [0, 1_400_000, usize::MAX] {
            let error = random_data(&model, batch, 5).unwrap_err();
            assert!(matches!(&error, Error::Input(text) if text.contains(&format!("batch size {batch}:"))), "{error}");
        }
    }
}
