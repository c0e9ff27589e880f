//! The graphs of a step: gather, model, loss, gradients and update; or gather, model and loss alone.

pub mod window;

use crate::data::{Split, padded};
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Role, Tensor, TensorInfo};
use crate::ir::values::Values;
use crate::model::formats::weights::EMA;
use crate::model::{Build, Mode, Model};
use crate::ops::batch::gather::Gather;
use crate::ops::batch::gather_augmented::GatherAugmented;
use crate::ops::batch::gather_labels::GatherLabels;
use crate::ops::batch::mixup::Mixup;
use crate::ops::loss::argmax::Argmax;
use crate::ops::loss::sample_sum::SampleSum;
use crate::ops::optim::accumulate::Accumulate;
use crate::ops::optim::clip_norm::ClipNorm;
use crate::ops::optim::clip_value::ClipValue;
use crate::ops::optim::ema::Ema;
use crate::ops::optim::step_end::StepEnd;
use crate::plan::fuse::{Stage, fuse, join_neighbours};
use crate::step::augment::{Augment, CELLS, quantiles};
use crate::step::control::{Control, pcg};
use crate::step::schedule::Rates;
use crate::train::settings::loss::{Applied, Criterion};
use crate::train::settings::options::TrainOptions;
use crate::train::step::window::Window;

/// The key of all random numbers of a run.
pub(super) fn key_of(seed: u64) -> u32 {
    pcg(seed as u32) ^ pcg((seed >> 32) as u32).rotate_left(16)
}

/// Steps that the log holds, and so the most that one submit has.
pub const LOG_CAPACITY: usize = 64;

/// A step's graph and the tensors that the host has to do with.
#[derive(Clone, Debug)]
pub struct Step {
    /// The graph.
    pub graph: Graph,
    /// The data set's images, [samples, stride] bytes; with a window, those of two chunks.
    pub images: Tensor,
    /// The data set's labels: words, `[samples]`, or where each pixel has its own bytes, [samples, stride]; likewise.
    pub labels: Tensor,
    /// The control block.
    pub control: Tensor,
    /// Records of steps, [capacity, 4].
    pub log: Tensor,
    /// Where a NaN or an infinity was met since it was last set to 0, `[1]`, as [`crate::step::nonfinite`] has it.
    pub fault: Tensor,
    /// The model's result, [batch, classes] or [batch, height, width, classes].
    pub logits: Tensor,
    /// The class of the largest logit of each pixel, [batch, height, width]; in evaluation, where a model tells them.
    pub mask: Option<Tensor>,
    /// Labels of a sample: 1, or height × width.
    pub places: usize,
    /// What else has to be there before the first step, and stays.
    pub(super) given: Vec<(Tensor, Values)>,
    /// The arena of all parameters.
    pub params: Tensor,
    /// The arena of their average, laid out as they are, where one is kept.
    pub ema: Option<Tensor>,
    /// Rows of a batch.
    pub batch: usize,
    /// Samples of the data set.
    pub samples: usize,
    /// The window that the data comes through, where the device is not to hold all of it.
    pub window: Option<Window>,
}

impl Step {
    /// A training step of `model` over `samples` samples. A learning rate that is the same throughout is left as the
    /// control block has it.
    ///
    /// # Errors
    /// [`Error::Input`] for a layer to freeze that there is not, and where nothing is left to train.
    pub fn training(model: &Model, samples: usize, options: &TrainOptions) -> Result<Step> {
        let TrainOptions { batch_size, shuffle, ref freeze, augment, .. } = *options;
        let (optimizer, rates) = (options.optimizer(), options.rates(samples));
        let limit = options.device_data_limit;
        // One graph for all constant rates.
        let rates = if rates.is_constant() { Rates::constant(0.0) } else { rates };
        let mut start = Start::new(model, samples, batch_size, shuffle, augment, Mode::Training, limit)?;
        fuse(&mut start.graph, &[start.logits], Stage::Forward);
        start.graph.freeze(freeze)?;
        start.graph.fix_frozen_norms();
        let loss = start.loss(&options.criterion())?;
        start.graph.backward(loss[0])?;
        join_neighbours(&mut start.graph, &[start.logits], Stage::Whole);
        start.graph.update_norms()?;
        let [params, grads] = start.graph.arenas()?;
        let runs = start.graph.trained([params, grads]);
        let loss = start.by_sample(loss)?;
        let fault = start.fault();
        // The control block that updates go by: where gradients are accumulated, not every batch makes one.
        let of_update = start.update_of(grads, fault, options)?;
        let graph = &mut start.graph;
        let elements = graph.info(grads).elements();
        if let Some(limit) = options.clip_norm {
            graph.update(ClipNorm { limit, elements }, &[], &[grads])?;
        }
        if let Some(limit) = options.clip_value {
            graph.update(ClipValue { limit, elements }, &[], &[grads])?;
        }
        optimizer.update(graph, [of_update, fault], &runs, elements)?;
        let ema = match options.ema {
            None => None,
            Some(decay) => {
                let elements = graph.info(params).elements();
                let ema = graph.tensor(TensorInfo::floats(EMA, [elements]).role(Role::State));
                graph.update(Ema { decay }, &[of_update, params], &[ema])?;
                Some(ema)
            }
        };
        Ok(Step { ema, ..start.finish(loss, fault, params, optimizer.betas(), rates, options.accumulate)? })
    }

    /// An evaluation step of `model` over `samples` samples, in their order.
    pub fn evaluation(model: &Model, samples: usize, batch: usize) -> Result<Step> {
        Step::evaluation_by(&Criterion::default(), model, samples, batch, None)
    }

    /// `evaluation` by another loss than the plain one, and with at most so many bytes of the data on the device.
    pub fn evaluation_by(
        criterion: &Criterion,
        model: &Model,
        samples: usize,
        batch: usize,
        limit: Option<u64>,
    ) -> Result<Step> {
        let mut start = Start::new(model, samples, batch, false, Augment::default(), Mode::Inference, limit)?;
        fuse(&mut start.graph, &[start.logits], Stage::Whole);
        start.mask()?;
        let loss = start.loss(criterion)?;
        let loss = start.by_sample(loss)?;
        let [params, _] = start.graph.arenas()?;
        let fault = start.fault();
        start.finish(loss, fault, params, [0.0; 2], Rates::constant(0.0), 1)
    }

    /// The arena of the weights that the run is to leave: the average, where one is kept.
    pub fn final_weights(&self) -> Tensor {
        self.ema.unwrap_or(self.params)
    }

    /// The control block at the start of a run (or of a pass over the data).
    pub fn start(&self, seed: u64, rate: f64, betas: [f64; 2]) -> Control {
        Control {
            key: key_of(seed),
            valid: self.batch.min(self.samples) as u32,
            samples: self.samples as u32,
            rate: rate as f32,
            correction1: (1.0 - betas[0]) as f32,
            correction2: (1.0 - betas[1]) as f32,
            ..Control::default()
        }
    }

    /// A split in memory for the data tensors, and what else has to be there: images padded to whole words, labels as
    /// words, or those of pixels padded as images are.
    pub fn data(&self, split: &Split) -> Vec<(Tensor, Values)> {
        let labels = self.labels_of(&split.labels);
        let images = split.padded(self.graph.shape(self.images)[1]);
        let data = [(self.images, Values::Byte(images)), (self.labels, labels)];
        data.into_iter().chain(self.given.iter().cloned()).collect()
    }

    /// Labels of samples as they are on the device: words, or those of pixels as bytes, padded to whole words a sample.
    pub(super) fn labels_of(&self, labels: &[u8]) -> Values {
        match self.graph.shape(self.labels)[..] {
            [_, stride] => Values::Byte(padded(labels, self.places, stride)),
            _ => Values::Word(labels.iter().map(|&label| label.into()).collect()),
        }
    }

    /// Steps of one pass over the data.
    pub fn steps_per_epoch(&self) -> usize {
        self.samples.div_ceil(self.batch)
    }
}

/// The part that training and evaluation share: from the data set to the logits.
struct Start {
    graph: Graph,
    images: Tensor,
    all_labels: Tensor,
    control: Tensor,
    labels: Tensor,
    logits: Tensor,
    mask: Option<Tensor>,
    given: Vec<(Tensor, Values)>,
    places: usize,
    batch: usize,
    samples: usize,
    window: Option<Window>,
    // Of mixup: the other labels and the shares of the rows' own.
    mixed: Option<[Tensor; 2]>,
}

impl Start {
    fn new(
        model: &Model,
        samples: usize,
        batch: usize,
        shuffle: bool,
        augment: Augment,
        mode: Mode,
        limit: Option<u64>,
    ) -> Result<Start> {
        if batch == 0 || batch > samples {
            return Err(Error::input(format!("batch size {batch}: between 1 and the {samples} samples is expected")));
        }
        let normal = &model.normalisation;
        let gather = Gather { batch, image: model.input, shuffle, scale: normal.scale, shift: normal.shift, window: 0 };
        let places = model.places()?;
        let masks = model.is_segmentation()?.then(|| {
            let size = [model.input[0], model.input[1]];
            GatherLabels { batch, size, shuffle, window: 0 }
        });
        let stride = gather.stride() + masks.map_or(0, |masks| masks.stride());
        let window = Window::of(samples, stride, batch, limit)?;
        let rows = window.map_or(0, |window| window.rows);
        let gather = Gather { window: rows, ..gather };
        let held = window.map_or(samples, |window| window.held());
        let mut graph = Graph::new();
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]).role(Role::Control));
        let images = graph.tensor(TensorInfo::bytes("images", [held, gather.stride()]));
        let mut all_labels = graph.tensor(TensorInfo::words("all labels", [held]).role(Role::Data));
        augment.check_for(model.input)?;
        let from = [control, images, all_labels];
        let mut drawn = match augment.keeps_images() {
            true => graph.apply(gather, &from)?,
            false => graph.apply(GatherAugmented { gather, augment }, &from)?,
        };
        let mut labels = drawn[1];
        if let Some(masks) = masks {
            if !augment.is_off() {
                let expected = "augment off is expected where a model tells the class of each pixel";
                return Err(Error::input(format!("augment {augment}: {expected}, since labels are not moved along")));
            }
            // Labels of pixels stay bytes, and those of the images stay zero.
            let masks = GatherLabels { window: rows, ..masks };
            all_labels = graph.tensor(TensorInfo::bytes("labels of pixels", [held, masks.stride()]));
            labels = graph.apply(masks, &[control, all_labels])?[0];
        }
        let (mut given, mut mixed) = (Vec::new(), None);
        if augment.mixup > 0.0 {
            let table = graph.tensor(TensorInfo::floats("quantiles", [CELLS + 1]).role(Role::Data));
            let blended = graph.apply(Mixup, &[control, drawn[0], labels, table])?;
            drawn[0] = blended[0];
            given.push((table, Values::Float(quantiles(augment.mixup))));
            mixed = Some([blended[1], blended[2]]);
        }
        let logits = model.build(&mut graph, drawn[0], Build { mode, control: Some(control) })?;
        let mask = None;
        Ok(Start {
            graph,
            images,
            all_labels,
            control,
            labels,
            logits,
            mask,
            given,
            places,
            batch,
            samples,
            window,
            mixed,
        })
    }

    fn loss(&mut self, criterion: &Criterion) -> Result<Vec<Tensor>> {
        let from = [self.control, self.logits, self.labels];
        let Applied { results, given } = criterion.apply(&mut self.graph, from, self.mixed)?;
        self.given.extend(given);
        Ok(results)
    }

    /// Loss and correct counts, one of each a sample.
    fn by_sample(&mut self, loss: Vec<Tensor>) -> Result<Vec<Tensor>> {
        if self.graph.shape(loss[0]).len() == 1 { Ok(loss) } else { self.graph.apply(SampleSum, &loss[..2]) }
    }

    /// Adds the class of each pixel, where the model tells them, in memory of its own: it is read after the step.
    fn mask(&mut self) -> Result<()> {
        if self.graph.shape(self.logits).len() > 2 {
            let mask = self.graph.apply(Argmax, &[self.logits])?[0];
            self.graph.tensors[mask.index()].role = Role::Control;
            self.mask = Some(mask);
        }
        Ok(())
    }

    fn fault(&mut self) -> Tensor {
        self.graph.tensor(TensorInfo::words("fault", [1]).role(Role::Control))
    }

    /// The control block that updates go by. Where gradients are accumulated it is one of its own, and `grads` become
    /// those of the update.
    fn update_of(&mut self, grads: Tensor, fault: Tensor, options: &TrainOptions) -> Result<Tensor> {
        if options.accumulate == 1 {
            return Ok(self.control);
        }
        let graph = &mut self.graph;
        let elements = graph.info(grads).elements();
        let sum = graph.tensor(TensorInfo::floats("accumulated", [elements]).role(Role::State));
        let of_update = TensorInfo::words("control of the update", [Control::WORDS]).role(Role::Control);
        let of_update = graph.tensor(of_update);
        let op = Accumulate { elements, batch: self.batch, every: options.accumulate as usize };
        graph.update(op, &[self.control], &[sum, grads, of_update, fault])?;
        Ok(of_update)
    }

    fn finish(
        mut self,
        loss: Vec<Tensor>,
        fault: Tensor,
        params: Tensor,
        betas: [f64; 2],
        rates: Rates,
        accumulate: u32,
    ) -> Result<Step> {
        let log = self.graph.tensor(TensorInfo::floats("log", [LOG_CAPACITY, 4]).role(Role::Control));
        let end = StepEnd { batch: self.batch, capacity: LOG_CAPACITY, betas, rates, accumulate };
        self.graph.update(end, &[loss[0], loss[1], fault], &[self.control, log])?;
        Ok(Step {
            graph: self.graph,
            images: self.images,
            labels: self.all_labels,
            control: self.control,
            log,
            fault,
            logits: self.logits,
            mask: self.mask,
            places: self.places,
            given: self.given,
            params,
            ema: None,
            batch: self.batch,
            samples: self.samples,
            window: self.window,
        })
    }
}
