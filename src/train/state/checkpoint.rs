//! A checkpoint: everything needed to resume a run as if it had never stopped, and its file format.
//!
//! The file is a sealed safetensors file: the weights under the names of `model.safetensors`, the optimizer's state as
//! `optimizer.<state>.<parameter>` in the same shapes (`ema` is the average of all weights, where one is kept), the states that
//! recurrences carry to the next step as `carried.<layer>.<state>`, and in the metadata the model (`wgrad`) and all else as
//! JSON (`wgrad_checkpoint`).

use crate::data::Dataset;
use crate::data::column::crc32;
use crate::data::schema::FEATURES;
use crate::error::{Error, Result, in_context};
use crate::model::Model;
use crate::model::formats::sealed;
use crate::model::formats::weights::{CARRIED_PREFIX, EMA, METADATA_KEY, NamedTensor, OPTIMIZER_PREFIX, Weights};
use crate::step::control::Control;
use crate::train::epochs::progress::{Goal, Progress};
use crate::train::settings::goal::Keep;
use crate::train::settings::options::TrainOptions;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;

/// The metadata key of all that is no tensor and no model.
pub const STATE_KEY: &str = "wgrad_checkpoint";

/// The number of this form of the file.
const FORMAT: u32 = 1;

/// Everything that a run needs to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The model.
    pub model: Model,
    /// Its weights.
    pub weights: Weights,
    /// The optimizer's state by name (`m` and `v`, or `velocity`), each with a tensor for every weight that is trained,
    /// and `ema`, the average of all weights, where one is kept.
    pub optimizer: Vec<(String, Weights)>,
    /// The states of recurrences that are carried to the next step, [batch, units] each.
    pub carried: Vec<NamedTensor>,
    /// All else.
    pub state: State,
}

/// The content of a checkpoint besides tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The form of the file.
    pub format: u32,
    /// The version of wgrad that wrote it.
    pub version: String,
    /// The control block, word for word: step, place in the data order, key of the random numbers, rate, corrections.
    pub control: [u32; Control::WORDS],
    /// How far the run has come.
    pub progress: Progress,
    /// The settings of the run.
    pub options: TrainOptions,
    /// The training data.
    pub data: DataMark,
    /// The folder that the data came from, absolute; none for the built-in set.
    pub data_folder: Option<String>,
    /// The device and its driver, or the native CPU and its kind.
    pub device: String,
}

/// The fingerprint of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataMark {
    /// Its name.
    pub name: String,
    /// Training and test images.
    pub samples: [usize; 2],
    /// Height, width and channels; of a table 1, 1 and its features.
    pub shape: [usize; 3],
    /// CRC-32 of all fields.
    pub crc32: u32,
    /// Of text: CRC-32 of the tokens, since other texts may have the same numbers; none of an older wgrad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_crc32: Option<u32>,
}

impl DataMark {
    /// The mark of a data set.
    ///
    /// # Errors
    /// [`Error::Input`] if its pixels are in a file that cannot be read any more.
    pub fn new(data: &Dataset) -> Result<DataMark> {
        Ok(DataMark {
            name: data.name.clone(),
            samples: [data.train.count, data.test.count],
            shape: match data.train.columns() {
                [rows, ..] if rows.field().name == FEATURES => [1, 1, rows.field().elements()],
                _ => data.train.shape(),
            },
            crc32: crc32(data.train.columns().iter().chain(data.test.columns()))?,
            tokens_crc32: data.text.as_ref().map(|text| {
                let mut crc = crc32fast::Hasher::new();
                let all = text.tokens().iter().chain(data.target.iter().flat_map(|target| target.tokens()));
                all.for_each(|token| {
                    crc.update(token.as_bytes());
                    crc.update(&[0]);
                });
                crc.finalize()
            }),
        })
    }

    fn words(&self) -> String {
        let [train, test] = self.samples;
        format!("{train} + {test} samples of {:?}, CRC-32 {:08x}", self.shape, self.crc32)
    }
}

impl State {
    /// The state of a run that is here now.
    pub fn new(
        control: Control,
        progress: Progress,
        options: TrainOptions,
        data: DataMark,
        device: String,
    ) -> Result<State> {
        let words = control.words().try_into().map_err(|_| Error::failed("the control block has another size"))?;
        let version = env!("CARGO_PKG_VERSION").into();
        Ok(State { format: FORMAT, version, control: words, progress, options, data, data_folder: None, device })
    }

    /// Where the run is to end.
    pub fn goal(&self, options: &TrainOptions) -> Goal {
        Goal::new(self.data.samples[0], options)
    }

    /// Whether these are settings and data that the run can go on with; its length, which epoch it leaves, and what it keeps
    /// in memory may be others.
    ///
    /// # Errors
    /// [`Error::Input`] that says what differs.
    pub fn check(&self, options: &TrainOptions, data: &DataMark) -> Result<()> {
        let length_apart = |o: &TrainOptions| TrainOptions {
            epochs: 0,
            max_steps: None,
            patience: None,
            keep: Keep::Last,
            recompute: false,
            ..o.clone().resolved()
        };
        let (found, expected) = (length_apart(options), length_apart(&self.options));
        if found != expected {
            return Err(Error::input(format!(
                "the settings differ from the checkpoint's: found {found:?}, expected {expected:?}"
            )));
        }
        if (data.samples, data.shape, data.crc32) != (self.data.samples, self.data.shape, self.data.crc32) {
            let (found, expected) = (data.words(), self.data.words());
            return Err(Error::input(format!(
                "data set {}: found {found}, expected {expected} as the run began with",
                data.name
            )));
        }
        if let (Some(found), Some(expected)) = (data.tokens_crc32, self.data.tokens_crc32)
            && found != expected
        {
            let name = &data.name;
            let why = "found other tokens in the text than the run began with, expected the same text";
            return Err(Error::input(format!("data set {name}: {why}")));
        }
        Ok(())
    }

    /// The control block, where it is the one that this run's steps lead to; `start` is what it begins with.
    ///
    /// # Errors
    /// [`Error::Input`] for a state that no run comes to.
    pub fn control(&self, start: Control) -> Result<Control> {
        let found = Control::read(&self.control);
        let samples = self.data.samples[0];
        let rates = self.options.rates(samples);
        let expected_rate = self.options.rate_at(samples, self.progress.step, self.progress.val_losses());
        let is_rate = (f64::from(found.rate) - expected_rate).abs() <= 1e-3 * rates.base;
        let Goal { per_epoch, .. } = self.goal(&self.options);
        let (step, batch) = (self.progress.step, self.options.batch_size as u64);
        let first = step.checked_rem(per_epoch).unwrap_or(0).saturating_mul(batch);
        let expected = Control {
            step: step as u32,
            epoch: step.checked_div(per_epoch).unwrap_or(0) as u32,
            first: first as u32,
            valid: batch.min(u64::from(start.samples).saturating_sub(first)) as u32,
            // Computed on the device, to a few roundings.
            rate: if rates.is_constant() { expected_rate as f32 } else { found.rate },
            correction1: found.correction1,
            correction2: found.correction2,
            weight: found.weight,
            ..start
        };
        let fractions = [found.correction1, found.correction2].iter().all(|f| (0.0..=1.0).contains(f));
        // Nothing of an update is carried into the first of its batches.
        let within = !(first / batch.max(1)).is_multiple_of(u64::from(self.options.accumulate));
        let is_weight = found.weight == 0.0 || within && found.weight.is_finite() && found.weight > 0.0;
        match found == expected && fractions && is_weight && is_rate && self.progress.is_sound(per_epoch) {
            true => Ok(found),
            false => Err(Error::input(format!("the checkpoint is malformed: step {step} has {found:?}"))),
        }
    }
}

impl Checkpoint {
    /// The weights that the run would leave here: the average, where one is kept.
    pub fn final_weights(&self) -> &Weights {
        self.optimizer.iter().find(|(name, _)| name == EMA).map_or(&self.weights, |(_, average)| average)
    }

    /// The bytes of the file: the same for the same state.
    ///
    /// # Errors
    /// [`Error::Input`] if weights or optimizer state are not the model's.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.weights.check_against(&self.model)?;
        let mut tensors = self.weights.tensors.clone();
        for (name, state) in &self.optimizer {
            state.check_part_of(&self.model)?;
            let renamed = |t: &NamedTensor| NamedTensor { name: prefix(name) + &t.name, ..t.clone() };
            tensors.extend(state.tensors.iter().map(renamed));
        }
        let carried = |t: &NamedTensor| NamedTensor { name: format!("{CARRIED_PREFIX}{}", t.name), ..t.clone() };
        tensors.extend(self.carried.iter().map(carried));
        let state = serde_json::to_string(&self.state)
            .map_err(|e| Error::failed(format!("the checkpoint cannot be written: {e}")))?;
        sealed::seal(&[(METADATA_KEY, &self.model.to_json()?), (STATE_KEY, &state)], &tensors)
    }

    /// The checkpoint in a file's bytes; nothing of it is believed before its digest is found right.
    ///
    /// # Errors
    /// [`Error::Input`] for bytes that are no checkpoint, or were changed since.
    pub fn from_bytes(bytes: &[u8]) -> Result<Checkpoint> {
        let sealed::Opened { metadata, tensors } = sealed::open(bytes)?;
        let text = |key: &str| {
            let missing = || Error::input(format!("found no {key} in the metadata, expected a checkpoint"));
            metadata.get(key).ok_or_else(missing)
        };
        let malformed = |why: &dyn std::fmt::Display| Error::input(format!("the checkpoint is malformed: {why}"));
        let model = Model::from_json(text(METADATA_KEY)?)?;
        let state: State = serde_json::from_str(text(STATE_KEY)?).map_err(|e| malformed(&e))?;
        if state.format != FORMAT {
            let (found, version) = (state.format, &state.version);
            return Err(malformed(&format!("found form {found}, of wgrad {version}, expected {FORMAT}")));
        }
        let mut weights = Vec::new();
        let (mut optimizer, mut carried): (Vec<(String, Weights)>, _) = (Vec::new(), Vec::new());
        for mut tensor in tensors {
            if let Some(name) = tensor.name.strip_prefix(CARRIED_PREFIX) {
                carried.push(NamedTensor { name: name.into(), ..tensor });
                continue;
            }
            let Some(rest) = tensor.name.strip_prefix(OPTIMIZER_PREFIX) else {
                weights.push(tensor);
                continue;
            };
            let (state, name) = rest.split_once('.').ok_or_else(|| malformed(&tensor.name.escape_debug()))?;
            let (state, name) = (state.to_string(), name.to_string());
            tensor.name = name;
            match optimizer.last_mut().filter(|(last, _)| *last == state) {
                Some((_, weights)) => weights.tensors.push(tensor),
                None => optimizer.push((state, Weights::new(vec![tensor]))),
            }
        }
        let weights = Weights::new(weights);
        weights.check_against(&model)?;
        optimizer.iter().try_for_each(|(_, state)| state.check_part_of(&model))?;
        state.options.check().map_err(|e| malformed(&e))?;
        Ok(Checkpoint { model, weights, optimizer, carried, state })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Input`] that names the file, which cannot be read or is no whole checkpoint.
    pub fn read(path: &Path) -> Result<Checkpoint> {
        let place = path.display().to_string();
        let unreadable = |e: std::io::Error| Error::input(format!("{place}: cannot be read: {e}"));
        let mut file = crate::files::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        crate::memory::check_free(length, &format!("{place}: its contents take"), "a smaller model may fit")?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        Checkpoint::from_bytes(&bytes).map_err(|e| in_context(&place, e))
    }
}

fn prefix(state: &str) -> String {
    format!("{OPTIMIZER_PREFIX}{state}.")
}
