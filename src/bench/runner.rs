//! A training step that can be timed: random data, initial weights, and many steps per submit as in training.

use crate::data::schema::{ANSWERS, Element, Field, LABEL, TEXT};
use crate::data::{Column, Dataset, MOST_CLASSES, Split};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ir::graph::Tensor;
use crate::ir::values::Values;
use crate::model::Model;
use crate::plan::human_bytes;
use crate::step::control::pcg;
use crate::train::epochs::engine::{Engine, Pace};
use crate::train::epochs::trainer::{Event, Metrics, Trainer};
use crate::train::settings::options::TrainOptions;
use crate::train::step::{Step, schema_of};
use std::ops::ControlFlow;
use std::time::Instant;

/// The target duration of a repetition, in seconds.
const REPETITION_SECONDS: f64 = 0.2;

/// The most steps of a repetition.
const MOST_STEPS: f64 = 4096.0;

/// The most bytes of random samples beyond the one batch that there must be.
const DATA_BYTES: usize = 64 << 20;

/// The most bytes that the samples of one batch may have here.
const BATCH_BYTES: usize = 1 << 30;

/// The options of a benched step.
pub fn options(batch: usize) -> TrainOptions {
    TrainOptions { batch_size: batch, epochs: 1, ..TrainOptions::default() }
}

/// Random samples for `steps` steps, or as many as fit a small binding; and one batch to test on. Their fields are those that
/// the model reads.
///
/// # Errors
/// [`Error::Input`] for a batch of no samples, or of more bytes than can be meant.
pub fn random_data(model: &Model, batch: usize, steps: usize) -> Result<Dataset> {
    let schema = schema_of(model)?;
    let each = schema.fields.first().map_or(1, Field::bytes).max(1);
    let bytes = batch.saturating_mul(each);
    if batch == 0 || bytes > BATCH_BYTES {
        let (found, most) = (human_bytes(bytes as u64), human_bytes(BATCH_BYTES as u64));
        let (things, _) = model.things();
        return Err(Error::input(format!("batch size {batch}: {found} of {things}, 1 B to {most} are expected")));
    }
    let count = (batch.saturating_mul(steps)).min(DATA_BYTES / each).max(batch);
    let split = |count: usize| {
        let columns = schema.fields.iter().map(|field| random_column(model, field, count));
        Split::of(columns.collect::<Result<_>>()?)
    };
    let mut data = Dataset::new("random", split(count)?, split(batch)?)?;
    data.classes = data.classes.max(model.classes()?);
    Ok(data)
}

/// A column of `count` random samples: bytes, tokens, labels or numbers from 0 to 1.
fn random_column(model: &Model, field: &Field, count: usize) -> Result<Column> {
    let below = match &*field.name {
        LABEL => model.classes()?.min(MOST_CLASSES) as u32,
        TEXT => model.vocabulary() as u32,
        ANSWERS => 2,
        _ => 256,
    };
    let random = (0..count * field.elements()).map(|i| pcg(i as u32));
    let bytes = match field.element {
        Element::F32 => random.flat_map(|word| ((word >> 8) as f32 / (1 << 24) as f32).to_le_bytes()).collect(),
        element => random.flat_map(|word| (word % below).to_le_bytes().into_iter().take(element.bytes())).collect(),
    };
    let stream = field.stream.map(|_| count * field.elements());
    Column::new(Field { stream, ..field.clone() }, bytes)
}

/// Trains one more epoch.
///
/// # Errors
/// Those of the device.
pub async fn epoch(trainer: &mut Trainer) -> Result<Metrics> {
    let fitted = trainer.fit(|event| match event {
        Event::Epoch(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    fitted.await?.last().copied().ok_or_else(|| Error::failed("an epoch left no metrics"))
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

    /// Milliseconds of a step, with many steps per submit and two submits in flight.
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

    /// Milliseconds of host time to submit one step, and to read the log back from an idle device.
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
