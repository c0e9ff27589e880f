//! The graphs of a step: gather, model, loss, gradients and update; or gather, model and loss alone.

use crate::control::Control;
use crate::data::Split;
use crate::error::{Error, Result};
use crate::fuse::{fuse, join_neighbours};
use crate::graph::{Graph, Role, Tensor, TensorInfo};
use crate::model::{Build, Mode, Model};
use crate::ops::adam::Adam;
use crate::ops::gather::Gather;
use crate::ops::sgd::Sgd;
use crate::ops::softmax_ce::SoftmaxCe;
use crate::ops::step_end::StepEnd;
use crate::schedule::Rates;
use crate::train::options::{Optimizer, TrainOptions};
use crate::train::window::Window;
use crate::values::Values;

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
        let TrainOptions { batch_size, shuffle, ref freeze, .. } = *options;
        let (optimizer, rates) = (options.optimizer(), options.rates(samples));
        let limit = options.device_data_limit;
        let mut start = Start::new(model, samples, batch_size, shuffle, Mode::Training, limit)?;
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
        start.finish(loss, fault, params, optimizer.betas(), rates)
    }

    /// An evaluation step of `model` over `samples` samples, in their order.
    pub fn evaluation(model: &Model, samples: usize, batch: usize) -> Result<Step> {
        Step::evaluation_within(model, samples, batch, None)
    }

    /// `evaluation` with at most so many bytes of images on the device.
    pub fn evaluation_within(model: &Model, samples: usize, batch: usize, limit: Option<u64>) -> Result<Step> {
        let mut start = Start::new(model, samples, batch, false, Mode::Inference, limit)?;
        fuse(&mut start.graph, &[start.logits]);
        let loss = start.loss()?;
        let [params, _] = start.graph.arenas()?;
        let fault = start.fault();
        start.finish(loss, fault, params, [0.0; 2], Rates::constant(0.0))
    }

    /// The control block at the start of a run (or of a pass over the data).
    pub fn start(&self, seed: u64, rate: f64, betas: [f64; 2]) -> Control {
        use crate::control::pcg;
        Control {
            key: pcg(seed as u32) ^ pcg((seed >> 32) as u32).rotate_left(16),
            valid: self.batch.min(self.samples) as u32,
            samples: self.samples as u32,
            rate: rate as f32,
            correction1: (1.0 - betas[0]) as f32,
            correction2: (1.0 - betas[1]) as f32,
            ..Control::default()
        }
    }

    /// A split in memory for the data tensors: images padded to whole words, labels as words.
    pub fn data(&self, split: &Split) -> [(Tensor, Values); 2] {
        let labels = split.labels.iter().map(|&label| label.into()).collect();
        let images = split.padded(self.graph.shape(self.images)[1]);
        [(self.images, Values::Byte(images)), (self.labels, Values::Word(labels))]
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
}

impl Start {
    fn new(
        model: &Model,
        samples: usize,
        batch: usize,
        shuffle: bool,
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
        let drawn = graph.apply(gather, &[control, images, all_labels])?;
        let logits = model.build(&mut graph, drawn[0], Build { mode, control: Some(control) })?;
        Ok(Start { graph, images, all_labels, control, labels: drawn[1], logits, batch, samples, window })
    }

    fn loss(&mut self) -> Result<Vec<Tensor>> {
        self.graph.apply(SoftmaxCe, &[self.control, self.logits, self.labels])
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
            batch: self.batch,
            samples: self.samples,
            window: self.window,
        })
    }
}
