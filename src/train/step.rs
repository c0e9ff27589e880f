//! The graphs of a step: gather, model, loss, gradients and update; or gather, model and loss alone.

use crate::augment::{Augment, CELLS, quantiles};
use crate::control::{Control, pcg};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::fuse::{fuse, join_neighbours};
use crate::graph::{Graph, Role, Tensor, TensorInfo};
use crate::model::weights::EMA;
use crate::model::{Build, Mode, Model};
use crate::ops::adam::Adam;
use crate::ops::ema::Ema;
use crate::ops::gather::Gather;
use crate::ops::gather_augmented::GatherAugmented;
use crate::ops::mixup::Mixup;
use crate::ops::sgd::Sgd;
use crate::ops::softmax_ce::SoftmaxCe;
use crate::ops::step_end::StepEnd;
use crate::schedule::Rates;
use crate::train::options::{Optimizer, TrainOptions};
use crate::train::window::Window;
use crate::values::Values;

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
    /// The data set's labels, `[samples]`, likewise.
    pub labels: Tensor,
    /// The control block.
    pub control: Tensor,
    /// Records of steps, [capacity, 4].
    pub log: Tensor,
    /// Where a NaN or an infinity was met since it was last set to 0, `[1]`, as [`crate::fault`] has it.
    pub fault: Tensor,
    /// The model's result, [batch, classes].
    pub logits: Tensor,
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
    /// What mixup draws from: its tensor, and Beta's parameter.
    quantiles: Option<(Tensor, f64)>,
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
        let mut start = Start::new(model, samples, batch_size, shuffle, augment, Mode::Training, limit)?;
        fuse(&mut start.graph, &[start.logits]);
        start.graph.freeze(freeze)?;
        start.graph.fix_frozen_norms();
        let loss = start.loss()?;
        start.graph.backward(loss[0])?;
        join_neighbours(&mut start.graph, &[start.logits]);
        start.graph.update_norms()?;
        let [params, grads] = start.graph.arenas()?;
        let runs = start.graph.trained([params, grads]);
        let state = |graph: &mut Graph, name: &str| {
            let elements = graph.info(grads).elements();
            graph.tensor(TensorInfo::floats(name, [elements]).role(Role::State))
        };
        let fault = start.fault();
        match optimizer {
            Optimizer::Adam { betas, epsilon, l2, decay } => {
                let (m, v) = (state(&mut start.graph, "m"), state(&mut start.graph, "v"));
                for run in runs {
                    let [m, v] = [m, v].map(|state| start.graph.part(state, run.offset, run.elements));
                    let op = Adam { betas, epsilon, l2, decay };
                    start.graph.update(op, &[start.control, run.grads], &[run.params, m, v, fault])?;
                }
            }
            Optimizer::Sgd { momentum, l2 } => {
                let velocity = state(&mut start.graph, "velocity");
                for run in runs {
                    let velocity = start.graph.part(velocity, run.offset, run.elements);
                    let op = Sgd { momentum, l2 };
                    start.graph.update(op, &[start.control, run.grads], &[run.params, velocity, fault])?;
                }
            }
        }
        let ema = match options.ema {
            None => None,
            Some(decay) => {
                let elements = start.graph.info(params).elements();
                let ema = start.graph.tensor(TensorInfo::floats(EMA, [elements]).role(Role::State));
                start.graph.update(Ema { decay }, &[start.control, params], &[ema])?;
                Some(ema)
            }
        };
        Ok(Step { ema, ..start.finish(loss, fault, params, optimizer.betas(), rates)? })
    }

    /// An evaluation step of `model` over `samples` samples, in their order.
    pub fn evaluation(model: &Model, samples: usize, batch: usize) -> Result<Step> {
        Step::evaluation_within(model, samples, batch, None)
    }

    /// `evaluation` with at most so many bytes of images on the device.
    pub fn evaluation_within(model: &Model, samples: usize, batch: usize, limit: Option<u64>) -> Result<Step> {
        let mut start = Start::new(model, samples, batch, false, Augment::default(), Mode::Inference, limit)?;
        fuse(&mut start.graph, &[start.logits]);
        let loss = start.loss()?;
        let [params, _] = start.graph.arenas()?;
        let fault = start.fault();
        start.finish(loss, fault, params, [0.0; 2], Rates::constant(0.0))
    }

    /// The arena of the weights that the run is to leave: the average, where one is kept.
    pub fn answers(&self) -> Tensor {
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

    /// A split in memory for the data tensors: images padded to whole words, labels as words; and the tables that go with them.
    pub fn data(&self, split: &Split) -> Vec<(Tensor, Values)> {
        let labels = split.labels.iter().map(|&label| label.into()).collect();
        let images = split.padded(self.graph.shape(self.images)[1]);
        let data = [(self.images, Values::Byte(images)), (self.labels, Values::Word(labels))];
        data.into_iter().chain(self.table()).collect()
    }

    /// The table that goes with the data, where there is one.
    pub fn table(&self) -> Option<(Tensor, Values)> {
        self.quantiles.map(|(table, a)| (table, Values::Float(quantiles(a))))
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
    batch: usize,
    samples: usize,
    window: Option<Window>,
    // Of mixup: its table and Beta's parameter; the other labels and the shares of the rows' own.
    quantiles: Option<(Tensor, f64)>,
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
        let window = Window::of(samples, gather.stride(), batch, limit)?;
        let gather = Gather { window: window.map_or(0, |window| window.rows), ..gather };
        let held = window.map_or(samples, |window| window.held());
        let mut graph = Graph::new();
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]).role(Role::Control));
        let images = graph.tensor(TensorInfo::bytes("images", [held, gather.stride()]));
        let all_labels = graph.tensor(TensorInfo::words("all labels", [held]).role(Role::Data));
        augment.check_for(model.input)?;
        let from = [control, images, all_labels];
        let mut drawn = match augment.keeps_images() {
            true => graph.apply(gather, &from)?,
            false => graph.apply(GatherAugmented { gather, augment }, &from)?,
        };
        let (mut quantiles, mut mixed) = (None, None);
        if augment.mixup > 0.0 {
            let table = graph.tensor(TensorInfo::floats("quantiles", [CELLS + 1]).role(Role::Data));
            let blended = graph.apply(Mixup, &[control, drawn[0], drawn[1], table])?;
            drawn[0] = blended[0];
            (quantiles, mixed) = (Some((table, augment.mixup)), Some([blended[1], blended[2]]));
        }
        let logits = model.build(&mut graph, drawn[0], Build { mode, control: Some(control) })?;
        let labels = drawn[1];
        Ok(Start { graph, images, all_labels, control, labels, logits, batch, samples, window, quantiles, mixed })
    }

    fn loss(&mut self) -> Result<Vec<Tensor>> {
        let mut from = vec![self.control, self.logits, self.labels];
        from.extend(self.mixed.into_iter().flatten());
        self.graph.apply(SoftmaxCe { mixed: self.mixed.is_some(), ..SoftmaxCe::default() }, &from)
    }

    fn fault(&mut self) -> Tensor {
        self.graph.tensor(TensorInfo::words("fault", [1]).role(Role::Control))
    }

    fn finish(
        mut self,
        loss: Vec<Tensor>,
        fault: Tensor,
        params: Tensor,
        betas: [f64; 2],
        rates: Rates,
    ) -> Result<Step> {
        let log = self.graph.tensor(TensorInfo::floats("log", [LOG_CAPACITY, 4]).role(Role::Control));
        let end = StepEnd { batch: self.batch, capacity: LOG_CAPACITY, betas, rates };
        self.graph.update(end, &[loss[0], loss[1], fault], &[self.control, log])?;
        Ok(Step {
            graph: self.graph,
            images: self.images,
            labels: self.all_labels,
            control: self.control,
            log,
            fault,
            logits: self.logits,
            params,
            ema: None,
            batch: self.batch,
            samples: self.samples,
            window: self.window,
            quantiles: self.quantiles,
        })
    }
}
