//! The builder: a model in one expression.

mod images;

use crate::error::{Error, Result};
use crate::model::layers::keys::{Field, Value, one_of};
use crate::model::layers::*;
pub use crate::model::normalise::ChannelNorm;
use crate::model::{Model, Normalisation, Task};
use crate::ops::pointwise::activation::Function;
use crate::suggest;
use crate::text::{Tokenizer, Unit};
use std::collections::BTreeMap;

/// Layers one after the other.
///
/// ```
/// use wgrad::model::Sequential;
/// let model = Sequential::new([28, 28, 1]).conv2d(32, 3).relu().max_pool2d(2).flatten().dense(10).build()?;
/// assert_eq!(model.classes()?, 10);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sequential(Model, Names);

/// Names that layers were given, and the first request that cannot be fulfilled.
#[derive(Clone, Debug, Default)]
struct Names {
    places: BTreeMap<String, usize>,
    wrong: Option<String>,
}

impl Sequential {
    /// No layers yet, for inputs of these sizes: [height, width, channels] of an image, \[columns\] of a table.
    pub fn new(input: impl Into<Vec<usize>>) -> Self {
        let model = Model { name: "sequential".into(), input: input.into(), ..Model::default() };
        Sequential(model, Names::default())
    }

    /// No layers yet, for texts of this many tokens; characters, unless the data says otherwise.
    pub fn text(length: usize) -> Self {
        let Sequential(model, names) = Sequential::new([length]);
        Sequential(
            Model { text: Some(Tokenizer::known(Unit::default(), Vec::new())), task: Task::Next, ..model },
            names,
        )
    }

    /// The sizes of a sample's input.
    pub fn input(&self) -> &[usize] {
        &self.0.input
    }

    /// Channels of the last result; 1 where the layers so far do not fit, which `build` reports.
    pub(in crate::model) fn channels(&self) -> usize {
        let last = self.0.infer().ok().and_then(|layers| layers.last()?.shape.last().copied());
        last.unwrap_or(1)
    }

    /// Names the model, and with it its run folder.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }

    /// Turns bytes into floats by `byte · scale + shift`; by default they become 0–1.
    pub fn normalise(mut self, scale: f32, shift: f32) -> Self {
        self.0.normalisation = Normalisation { scale, shift };
        self
    }

    /// Normalises each channel of images after that, by (value - mean) / std (torchvision's `Normalize`).
    pub fn normalise_channels(mut self, mean: impl Into<Vec<f64>>, std: impl Into<Vec<f64>>) -> Self {
        self.0.normalise = Some(ChannelNorm { mean: mean.into(), std: std.into() });
        self
    }

    /// Adds a layer: one of [`crate::model::layers`], or of an application's own.
    pub fn layer(mut self, layer: impl Into<LayerEntry>) -> Self {
        self.0.layers.push(layer.into());
        self
    }

    /// Gives a key of the last layer, as model files name it, another value.
    fn with(mut self, key: &str, value: Value) -> Self {
        let changed = self.0.layers.last().and_then(|last| last.with(key, value));
        match (self.0.layers.last_mut(), changed) {
            (Some(last), Some(changed)) => *last = changed,
            _ => {
                let has = |kind: &&LayerType| kind.keys.iter().any(|known| known.name == key);
                let kinds: Vec<&str> = TYPES.iter().filter(has).map(|kind| kind.name).collect();
                let found = format!("found {key} = {value} after a layer that has no such key");
                self.1.wrong.get_or_insert_with(|| format!("{found}, expected it after {}", one_of(&kinds)));
            }
        }
        self
    }

    /// Takes the bias from the last layer: a dense one or any convolution.
    pub fn without_bias(self) -> Self {
        self.with("bias", false.value())
    }

    /// Adds an activation with its default slope, such as `Function::Gelu`.
    pub fn activation(self, function: Function) -> Self {
        self.layer(Activation::new(function))
    }

    /// Adds `x` where `x > 0`, else `slope · x`.
    pub fn leaky_relu(self, slope: f32) -> Self {
        self.layer(Activation { slope, ..Activation::new(Function::LeakyRelu) })
    }

    /// Adds a dropout of that rate, at least 0 and below 1.
    pub fn dropout(self, rate: f32) -> Self {
        self.layer(Dropout::new(rate))
    }

    /// Gives the last layer a name, for [`Sequential::add_from`] and [`Sequential::concat_from`].
    pub fn named(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        let wrong = match self.0.layers.len().checked_sub(1) {
            None => Some(format!("found the name {name:?} before the first layer, expected it after one")),
            Some(last) => self.1.places.insert(name.clone(), last).map(|place| {
                format!("found the name {name:?} for layer {last} and for layer {place}, expected it once")
            }),
        };
        self.1.wrong = self.1.wrong.or(wrong);
        self
    }

    /// Lets the last layer read the result of the layer of that name: in place of the result before it, or besides those
    /// that it reads already where it joins results.
    pub fn reading(mut self, name: &str) -> Self {
        let from = self.place(name);
        match self.0.layers.last_mut() {
            Some(last) => last.from.push(from),
            None => drop(self.1.wrong.get_or_insert_with(|| "found no layer that could read a result".into())),
        }
        self
    }

    /// Gives the last layer the weights of a PyTorch module of this name.
    pub fn module(mut self, name: impl Into<String>) -> Self {
        match self.0.layers.last_mut() {
            Some(last) => last.module = Some(name.into()),
            None => drop(self.1.wrong.get_or_insert_with(|| "found no layer that could be a module".into())),
        }
        self
    }

    /// Lets the last layer, one that joins, read the results of the layers of these names, in this order, and no other.
    pub fn of(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let from: Vec<usize> = names.into_iter().map(|name| self.place(name.as_ref())).collect();
        if let Some(last) = self.0.layers.last_mut() {
            (last.from, last.alone) = (from, true);
        }
        self
    }

    /// Adds the result of the layer of that name to the last one: a residual connection.
    pub fn add_from(self, name: &str) -> Self {
        self.layer(Add::new()).reading(name)
    }

    /// Puts the channels (or features) of the layer of that name after those of the last result.
    pub fn concat_from(self, name: &str) -> Self {
        self.layer(Concat::new()).reading(name)
    }

    /// Adds the second text of a pair, the one that is written.
    pub fn target(self) -> Self {
        self.layer(Input::new())
    }

    /// Lets the last layer, a recurrence, begin with the last states of the layer of that name.
    pub fn starting_at(mut self, name: &str) -> Self {
        let state = self.place(name);
        if let Some(last) = self.0.layers.last_mut() {
            last.state = Some(state);
        }
        self
    }

    /// Lets the last layer, a dense one, have the weight of the embedding of that name.
    pub fn tied_to(mut self, name: &str) -> Self {
        let tied = self.place(name);
        if let Some(last) = self.0.layers.last_mut() {
            last.tied = Some(tied);
        }
        self
    }

    /// Adds an attention of the last result over that of the layer of that name.
    pub fn attention_from(self, name: &str, score: Score) -> Self {
        self.layer(Attention { score }).reading(name)
    }

    /// Puts the channels (or features) of the layers of these names one after the other, in this order.
    pub fn concat_of(self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.layer(Concat::new()).of(names)
    }

    /// Multiplies by a factor.
    pub fn scale(self, factor: f32) -> Self {
        self.layer(Scale::new(factor))
    }

    /// Multiplies each channel by a factor of its own, which is learnt and begins as this one.
    pub fn scale_channels(self, factor: f32) -> Self {
        self.layer(Scale { learnt: true, ..Scale::new(factor) })
    }

    /// Adds a stochastic depth of that rate, at least 0 and below 1: samples whose branch is left out.
    pub fn stochastic_depth(self, rate: f32) -> Self {
        self.layer(StochasticDepth::new(rate))
    }

    /// Multiplies the last result with that of the layer of that name; features gate the channels of an image.
    pub fn multiply_from(self, name: &str) -> Self {
        self.layer(Multiply::new()).reading(name)
    }

    /// Where the layer of that name is; `build` reports a missing one.
    fn place(&mut self, name: &str) -> usize {
        let place = self.1.places.get(name).copied();
        if place.is_none() && self.1.wrong.is_none() {
            let hint = suggest::hint(name, self.1.places.keys().map(|name| &name[..]));
            self.1.wrong = Some(format!("found no earlier layer of the name {name:?}, expected one{hint}"));
        }
        place.unwrap_or(usize::MAX)
    }

    /// Adds `max(x, 0)`.
    pub fn relu(self) -> Self {
        self.layer(Relu::new())
    }

    /// Adds a batch normalisation with an epsilon of 1e-5 and a momentum of 0.1, as PyTorch has them.
    pub fn batch_norm(self) -> Self {
        self.layer(BatchNorm::new())
    }

    /// Adds a batch normalisation; the momentum is the share of a batch in the running statistics.
    pub fn batch_norm_with(self, epsilon: f64, momentum: f64) -> Self {
        self.layer(BatchNorm { epsilon, momentum })
    }

    /// Adds a layer normalisation over the last axis, with an epsilon of 1e-5.
    pub fn layer_norm(self) -> Self {
        self.layer(LayerNorm::new())
    }

    /// Adds a normalisation over this number of groups of channels, with an epsilon of 1e-5.
    pub fn group_norm(self, groups: usize) -> Self {
        self.layer(GroupNorm::new(groups))
    }

    /// Adds a normalisation by the root of the mean square over the last axis.
    pub fn rms_norm(self) -> Self {
        self.layer(RmsNorm::new())
    }

    /// Adds a flatten, which puts the features into C, H, W order.
    pub fn flatten(self) -> Self {
        self.layer(Flatten::new())
    }

    /// Adds an embedding of that many tokens, each a row of that size.
    pub fn embedding(self, tokens: usize, size: usize) -> Self {
        self.layer(Embedding { tokens, ..Embedding::new(size) })
    }

    /// Adds an embedding whose places have positions that are learned, as GPT-2's has.
    pub fn embedding_with_positions(self, tokens: usize, size: usize) -> Self {
        let length = self.0.input.first().copied().unwrap_or(1);
        let is_second = self.0.layers.last().is_some_and(|last| last.is::<Input>());
        let context = if is_second { Input::places(length) } else { length };
        let positions = Positions::Learned;
        self.layer(Embedding { tokens, positions, context, deviation: 0.02, ..Embedding::new(size) })
    }

    /// Adds this many blocks of a transformer that continues texts, without biases, as nanoGPT has them, and a norm.
    pub fn gpt(self, blocks: usize, heads: usize, size: usize, dropout: f32) -> Self {
        let block = Transformer { causal: true, bias: false, dropout, ..Transformer::new(heads, 4 * size) };
        self.blocks(block, blocks).layer(LayerNorm { bias: false, ..LayerNorm::new() })
    }

    /// Adds this many blocks of a transformer, one after the other.
    pub fn blocks(self, block: Transformer, count: usize) -> Self {
        LayerEntry::from(block).repeated(count).fold(self, Sequential::layer)
    }

    /// Adds this many blocks of a transformer that also look at the result of the layer of that name.
    pub fn blocks_from(self, name: &str, block: Transformer, count: usize) -> Self {
        (0..count).fold(self, |net, _| net.layer(Transformer { memory: true, ..block }).reading(name))
    }

    /// Adds the places of an image as a sequence, with positions that are learned.
    pub fn tokens(self) -> Self {
        self.layer(Tokens { positions: Positions::Learned, ..Tokens::new() })
    }

    /// [`Sequential::tokens`] after a class token, whose result is [`Sequential::first`].
    pub fn tokens_with_class(self) -> Self {
        self.layer(Tokens { positions: Positions::Learned, class_token: true })
    }

    /// Swaps the places and the features of a sequence.
    pub fn transpose(self) -> Self {
        self.layer(Transpose::new())
    }

    /// Adds what the first place of a sequence gives.
    pub fn first(self) -> Self {
        self.layer(First::new())
    }

    /// Adds a recurrence of that many units and layers, with a tanh.
    pub fn rnn(self, units: usize, layers: usize) -> Self {
        self.layer(Rnn { layers, ..Rnn::new(units) })
    }

    /// Adds a gated recurrent unit of that many units and layers.
    pub fn gru(self, units: usize, layers: usize) -> Self {
        self.layer(Gru { layers, ..Gru::new(units) })
    }

    /// Adds a gated recurrent unit of that many units that goes both ways.
    pub fn bidirectional_gru(self, units: usize) -> Self {
        self.layer(Gru { bidirectional: true, ..Gru::new(units) })
    }

    /// Adds the mean over the tokens of a text.
    pub fn mean_pool(self) -> Self {
        self.layer(MeanPool::new())
    }

    /// Adds what the last token of a text gives.
    pub fn last(self) -> Self {
        self.layer(Last::new())
    }

    /// Adds a long short-term memory of that many units and layers.
    pub fn lstm(self, units: usize, layers: usize) -> Self {
        self.layer(Lstm { layers, ..Lstm::new(units) })
    }

    /// Lets the last layer, a recurrence, carry its state from batch to batch of a text that is read in order.
    pub fn carrying(self) -> Self {
        self.with("carry", true.value())
    }

    /// Adds a dense layer.
    pub fn dense(self, units: usize) -> Self {
        self.layer(Dense::new(units))
    }

    /// Adds a layer of the application's own, as [`Sequential::layer`] does.
    pub fn custom(self, layer: impl Layer) -> Self {
        self.layer(layer)
    }

    /// The model, checked.
    ///
    /// # Errors
    /// [`crate::Error::Input`] as [`Model::check`].
    pub fn build(self) -> Result<Model> {
        if let Some(wrong) = self.1.wrong {
            return Err(Error::input(format!("model {}: {wrong}", self.0.name.escape_debug())));
        }
        let mut model = self.0;
        // A text whose places all have scores is continued.
        if model.text.is_some() {
            let is_next = model.infer()?.last().is_some_and(|last| last.shape.len() == 2);
            model.task = if is_next { Task::Next } else { Task::Classify };
        }
        model.check()?;
        Ok(model)
    }
}
