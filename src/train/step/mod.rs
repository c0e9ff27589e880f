//! The graphs of a step: draw, model, loss, gradients and update; or draw, model and loss alone.

mod ends;
mod fields;
pub mod window;

pub use fields::{Stored, schema_of};

use crate::data::Split;
use crate::data::schema::{Element, Read, Schema};
use crate::error::{Error, Result, in_context};
use crate::ir::freeze::Group;
use crate::ir::graph::{Graph, Role, Tensor, TensorInfo};
use crate::ir::values::Values;
use crate::model::formats::weights::EMA;
use crate::model::{Build, Mode, Model, Task};
use crate::ops::batch::draw::Draw;
use crate::ops::batch::draw_augmented::DrawAugmented;
use crate::ops::batch::draw_mask::DrawMask;
use crate::ops::batch::draw_stream::DrawStream;
use crate::ops::batch::jitter::Jitter;
use crate::ops::batch::mixup::Mixup;
use crate::ops::optim::clip_norm::ClipNorm;
use crate::ops::optim::clip_value::ClipValue;
use crate::ops::optim::ema::Ema;
use crate::ops::optim::step_end::Weighing;
use crate::ops::sequence::shift_right::ShiftRight;
use crate::plan::fuse::{Stage, fuse, join_neighbours};
use crate::plan::recompute::recompute;
use crate::step::augment::{Augment, CELLS, quantiles};
use crate::step::control::{Control, pcg};
use crate::step::schedule::Rates;
use crate::train::settings::loss::Criterion;
use crate::train::settings::lr_scale::LrScale;
use crate::train::settings::options::TrainOptions;
use crate::train::step::window::Window;

/// The key of all random numbers of a run.
pub(super) fn key_of(seed: u64) -> u32 {
    pcg(seed as u32) ^ pcg((seed >> 32) as u32).rotate_left(16)
}

/// Steps that the log holds, and so the most that one submit has.
pub const LOG_CAPACITY: usize = 64;

/// Parts that a text is cut into where it is evaluated in order (as in PyTorch's word_language_model): the loss does not depend
/// on the batch size then.
pub const EVALUATION_TRACKS: usize = 10;

/// A step's graph and the tensors that the host has to do with.
#[derive(Clone, Debug)]
pub struct Step {
    /// The graph.
    pub graph: Graph,
    /// The fields of the data set on the device: the model's input first, the targets last; of a stream one is both.
    pub columns: Vec<Stored>,
    /// The control block.
    pub control: Tensor,
    /// Records of steps, [capacity, [`RECORD`](crate::ops::optim::step_end::RECORD)].
    pub log: Tensor,
    /// Where a NaN or an infinity was met since it was last set to 0, `[1]`, as [`crate::step::nonfinite`] has it.
    pub fault: Tensor,
    /// The model's result, [batch, classes] or [batch, height, width, classes].
    pub logits: Tensor,
    /// The weight of the mean loss of a batch.
    pub weighing: Weighing,
    /// The class of the largest logit of each pixel, [batch, height, width]; in evaluation, if a model predicts them.
    pub mask: Option<Tensor>,
    /// Targets of a sample that are right or wrong: 1, height × width of a mask, the number of answers.
    pub positions: usize,
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
        Step::training_on(model, &schema_of(model)?, samples, options)
    }

    /// `training` on data of these fields.
    ///
    /// # Errors
    /// As [`Step::training`], and where the data lacks a field that the model reads.
    pub fn training_on(model: &Model, schema: &Schema, samples: usize, options: &TrainOptions) -> Result<Step> {
        let TrainOptions { batch_size, shuffle, ref freeze, augment, .. } = *options;
        let (optimizer, rates) = (options.optimizer(), options.rates(samples));
        let limit = options.device_data_limit;
        // One graph for all constant rates.
        let rates = if rates.is_constant() { Rates::constant(0.0) } else { rates };
        let mut start = Start::new(model, schema, samples, batch_size, shuffle, augment, Mode::Training, limit)?;
        fuse(&mut start.graph, &[start.logits], Stage::Forward);
        model.freeze_adapted(&mut start.graph);
        start.graph.freeze(&model.parameters_of(freeze)?)?;
        start.graph.fix_frozen_norms();
        let loss = start.loss(&options.criterion())?;
        let forward = start.graph.tensors.len();
        start.graph.backward(loss[0])?;
        join_neighbours(&mut start.graph, &[start.logits], Stage::Whole);
        // Before all updates: several processes compute a batch whole, then take in the batches of all.
        let loss = start.by_sample(loss)?;
        start.graph.update_norms()?;
        if options.recompute {
            recompute(&mut start.graph, forward)?;
        }
        let [params, grads] = start.graph.arenas()?;
        let all_decay = !options.decay_matrices_only;
        let scales = scales(&start.graph, model, &options.lr_scale)?;
        let runs = start.graph.trained([params, grads], |param, place| Group {
            decays: all_decay || param.file_shape.0.len() > 1,
            rate: scales[place],
        });
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
        Step::evaluation_by(&Criterion::default(), model, &schema_of(model)?, samples, batch, None)
    }

    /// `evaluation` with another loss than the plain one, on data with these fields, and with at most this many bytes
    /// of it on the device. A model that carries its state reads the text in [`EVALUATION_TRACKS`] parts, whatever the batch is.
    pub fn evaluation_by(
        criterion: &Criterion,
        model: &Model,
        schema: &Schema,
        samples: usize,
        batch: usize,
        limit: Option<u64>,
    ) -> Result<Step> {
        let batch = if model.carries() { EVALUATION_TRACKS.min(samples) } else { batch };
        let mut start = Start::new(model, schema, samples, batch, false, Augment::default(), Mode::Inference, limit)?;
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

    /// A split for the data tensors, each sample padded to whole words.
    ///
    /// # Errors
    /// [`Error::Input`] if the split lacks a field, or has other elements in it.
    pub fn data(&self, split: &Split) -> Result<Vec<(Tensor, Values)>> {
        let mut data = Vec::new();
        for stored in &self.columns {
            let bytes = stored.column(split)?.padded(0..split.count)?.into_owned();
            data.push((stored.tensor, Values::Byte(bytes)));
        }
        Ok(data)
    }

    /// The field that the model reads first.
    pub fn input(&self) -> &Stored {
        &self.columns[0]
    }

    /// The field of the targets.
    pub fn target(&self) -> &Stored {
        &self.columns[self.columns.len() - 1]
    }

    /// Steps of one pass over the data.
    pub fn steps_per_epoch(&self) -> usize {
        self.samples.div_ceil(self.batch)
    }
}

/// What the learning rate of each parameter is multiplied by.
fn scales(graph: &Graph, model: &Model, asked: &[LrScale]) -> Result<Vec<f64>> {
    let mut scales = vec![1.0; graph.params.len()];
    for LrScale { of, by } in asked {
        let layers = model.parameters_of(std::slice::from_ref(of)).map_err(|e| in_context("lr scale", e))?;
        let places = graph.params_of("lr scale", &layers)?;
        if places.iter().all(|place| graph.params[*place].frozen) {
            return Err(Error::input(format!("lr scale {of}={by}: nothing of these layers is trained")));
        }
        places.into_iter().for_each(|place| scales[place] = *by);
    }
    Ok(scales)
}

/// The part that training and evaluation share: from the data set to the logits.
struct Start {
    graph: Graph,
    columns: Vec<Stored>,
    control: Tensor,
    labels: Tensor,
    logits: Tensor,
    weighing: Weighing,
    weight: Option<Tensor>,
    mask: Option<Tensor>,
    task: Task,
    positions: usize,
    batch: usize,
    samples: usize,
    window: Option<Window>,
    // Whether a label may come from outside its mask, and is ignored then.
    outside: bool,
    // Of mixup: the other labels and the shares of the rows' own.
    mixed: Option<[Tensor; 2]>,
}

impl Start {
    #[expect(clippy::too_many_arguments, reason = "a step is all of these, once")]
    fn new(
        model: &Model,
        schema: &Schema,
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
        let mut fields = vec![schema.input(model.input_name())?, schema.target()?];
        fields.dedup();
        let is_image = fields[0].element == Element::U8 && fields[0].shape.len() == 3;
        let positions = match model.task {
            Task::Answers => model.classes()?,
            Task::Classify | Task::Next | Task::Regress { .. } => model.positions()?,
        };
        // A class of a sample takes a word, which was never counted.
        let stride = fields.iter().filter(|field| !field.shape.is_empty()).map(|field| field.stride()).sum();
        // A stream passes as words: the tokens of each window, and those that follow them.
        let passing = if fields[0].stream.is_some() { 2 * size_of::<u32>() * fields[0].elements() } else { stride };
        let tracks = model.carries();
        let advised = |error: Error| {
            let advice = match tracks && mode == Mode::Inference {
                true => {
                    format!("a text whose state is carried is evaluated in {batch} parts, whatever the batch size is")
                }
                false => "a smaller batch may fit".into(),
            };
            Error::input(format!("{error}; {advice}"))
        };
        let window = Window::of(samples, [stride, passing], batch, limit).map_err(advised)?;
        let window = window.map(|window| Window { tracks, ..window });
        let (rows, held) = (window.map_or(0, |window| window.rows), window.map_or(samples, |window| window.held()));
        let normal = &model.normalisation;
        let mut graph = Graph::new();
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]).role(Role::Control));
        if augment.mixup > 0.0 && !model.task.is_classify() {
            let (share, outputs) = (augment.mixup, model.task.outputs());
            return Err(Error::input(format!("mixup {share}: expected none where a model gives {outputs}")));
        }
        if !augment.is_off() && !is_image {
            let why = "expected --augment off: only images of bytes are changed at random";
            return Err(Error::input(format!("augment {augment}: {why}")));
        }
        if is_image {
            augment.check_for(model.image()?)?;
        }
        let of_pixels = model.is_segmentation()?;
        if augment.mixup > 0.0 && of_pixels {
            let expected = "expected none with a model for segmentation";
            return Err(Error::input(format!("mixup {}: {expected}", augment.mixup)));
        }
        let (mut columns, mut labels) = (Vec::new(), None);
        for (place, field) in fields.into_iter().enumerate() {
            if let (Some(_), Some(window)) = (field.stream, &window) {
                columns.extend(Stored::passing(&mut graph, control, field, window, shuffle)?);
                labels = columns.last().map(|next| next.drawn);
                continue;
            }
            let tensor = graph.tensor(TensorInfo::bytes(&field.name, [held, field.stride()]));
            let read = match place {
                0 if is_image => Read::Scaled { scale: normal.scale, shift: normal.shift },
                // A class of two may be a yes-or-no answer.
                1 if !model.task.is_softmax() => Read::FLOAT,
                _ => field.read,
            };
            let (shape, element, ignored) = (field.shape.clone(), field.element, field.ignored);
            let draw = Draw { batch, shape, element, read, ignored, shuffle, window: rows };
            let drawn = match (place, field.stream) {
                (_, Some(tokens)) => {
                    let draw = Draw { shuffle: shuffle && !tracks, ..draw };
                    graph.apply(DrawStream { draw, tokens, tracks }, &[control, tensor])?
                }
                (0, _) if !augment.keeps_images() => {
                    graph.apply(DrawAugmented { draw, augment }, &[control, tensor])?
                }
                // Labels go where their pixels go.
                (1, _) if of_pixels && !augment.keeps_places() => {
                    graph.apply(DrawMask { draw, augment }, &[control, tensor])?
                }
                _ => graph.apply(draw, &[control, tensor])?,
            };
            columns.push(Stored { field: field.clone(), tensor, drawn: drawn[0], follows: None });
            labels = drawn.last().copied();
        }
        let mut x = columns[0].drawn;
        let labels = labels.ok_or_else(|| Error::failed("no targets are drawn"))?;
        let mut mixed = None;
        let colour = augment.colour();
        if !colour.is_off() {
            x = graph.apply(Jitter { colour, scale: normal.scale, shift: normal.shift }, &[control, x])?[0];
        }
        if let Some(norm) = &model.normalise {
            x = norm.apply(&mut graph, x)?;
        }
        if augment.mixup > 0.0 {
            let table = TensorInfo::floats("quantiles", [CELLS + 1]);
            let table = graph.constant(table, || Values::Float(quantiles(augment.mixup)));
            let blended = graph.apply(Mixup, &[control, x, labels, table])?;
            x = blended[0];
            mixed = Some([blended[1], blended[2]]);
        }
        // A document is predicted token by token, each from those before it: its tokens are its own targets.
        if let (Some([begin, _]), Some(None)) =
            (model.document_ends(), columns.first().map(|stored| stored.field.stream))
        {
            x = graph.apply(ShiftRight { begin }, &[labels])?[0];
        }
        // So is a translation.
        let begin = model.target_vocabulary().saturating_sub(2) as u32;
        let target = model.translates().then(|| graph.apply(ShiftRight { begin }, &[labels])).transpose()?;
        let target = target.map(|target| target[0]);
        let logits = model.build(&mut graph, x, Build { mode, control: Some(control), target, context: None })?;
        let (weight, mask, task) = (None, None, model.task.clone());
        Ok(Start {
            graph,
            columns,
            control,
            labels,
            logits,
            weighing: Weighing::Samples,
            weight,
            mask,
            task,
            positions,
            batch,
            samples,
            window,
            outside: of_pixels && augment.reaches_outside(),
            mixed,
        })
    }
}
