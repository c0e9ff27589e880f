//! The layers that a model is a list of. A layer is a file here and a line in each of the three lists of this one.

#[macro_use]
mod macros;
pub mod entry;
pub mod keys;
pub mod onnx;
pub mod params;

mod activation;
mod adaptive_avg_pool2d;
mod add;
mod attention;
mod avg_pool2d;
mod batch_norm;
mod channel_shuffle;
mod concat;
mod conv2d;
mod conv_transpose2d;
mod dense;
mod depthwise_conv2d;
mod dropout;
mod embedding;
mod first;
mod flatten;
mod global_avg_pool2d;
mod global_max_pool2d;
mod group_norm;
mod gru;
mod input;
mod last;
mod layer_norm;
mod lstm;
mod max_pool2d;
mod mean_pool;
mod multiply;
mod pools;
mod positions;
mod recurrent;
mod relu;
mod rms_norm;
mod rnn;
mod scale;
mod slice;
mod stochastic_depth;
mod tokens;
mod transformer;
mod transpose;
mod upsample2d;

pub use activation::Activation;
pub use adaptive_avg_pool2d::AdaptiveAvgPool2d;
pub use add::Add;
pub use attention::{Attention, Score};
pub use avg_pool2d::AvgPool2d;
pub use batch_norm::BatchNorm;
pub use channel_shuffle::ChannelShuffle;
pub use concat::Concat;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use depthwise_conv2d::DepthwiseConv2d;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use entry::LayerEntry;
pub use first::First;
pub use flatten::Flatten;
pub use global_avg_pool2d::GlobalAvgPool2d;
pub use global_max_pool2d::GlobalMaxPool2d;
pub use group_norm::GroupNorm;
pub use gru::Gru;
pub use input::Input;
pub use last::Last;
pub use layer_norm::LayerNorm;
pub use lstm::Lstm;
pub use max_pool2d::MaxPool2d;
pub use mean_pool::MeanPool;
pub use multiply::Multiply;
pub use positions::Positions;
pub use recurrent::States;
pub use relu::Relu;
pub use rms_norm::RmsNorm;
pub use rnn::{Nonlinearity, Rnn};
pub use scale::Scale;
pub use slice::Slice;
pub use stochastic_depth::StochasticDepth;
pub use tokens::Tokens;
pub use transformer::{Between, Norms, Transformer, Turns};
pub use transpose::Transpose;
pub use upsample2d::{Interpolation, Upsample2d};

use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Shape, Tensor};
use crate::model::Build;
use crate::model::layers::keys::{Key, Keyed, Value};
use crate::model::layers::onnx::Onnx;
use crate::model::layers::params::Inferred;
use std::any::Any;
use std::fmt::Debug;
use std::sync::{Arc, LazyLock};

/// The largest size in a model, and the most elements of one of its tensors: kernels count in 32 bits.
pub const LARGEST: usize = i32::MAX as usize;

/// The types of layers, in the order in which messages list them.
const LISTED: &[fn() -> Vec<LayerType>] = &[
    one::<Conv2d>,
    one::<Relu>,
    one::<MaxPool2d>,
    one::<AvgPool2d>,
    one::<AdaptiveAvgPool2d>,
    one::<GlobalAvgPool2d>,
    one::<GlobalMaxPool2d>,
    one::<BatchNorm>,
    one::<LayerNorm>,
    one::<GroupNorm>,
    one::<RmsNorm>,
    one::<Flatten>,
    one::<Dense>,
    one::<Dropout>,
    one::<StochasticDepth>,
    one::<Add>,
    one::<Concat>,
    one::<Slice>,
    one::<ChannelShuffle>,
    one::<Multiply>,
    one::<Scale>,
    one::<Upsample2d>,
    one::<ConvTranspose2d>,
    one::<DepthwiseConv2d>,
    one::<Embedding>,
    one::<Rnn>,
    one::<Gru>,
    one::<Lstm>,
    one::<Last>,
    one::<First>,
    one::<MeanPool>,
    one::<Input>,
    one::<Attention>,
    one::<Transformer>,
    one::<Tokens>,
    one::<Transpose>,
    activation::types,
];

/// Every type of layer that files can describe.
pub static TYPES: LazyLock<Vec<LayerType>> = LazyLock::new(|| LISTED.iter().flat_map(|types| types()).collect());

/// A layer: what makes a result of one earlier result, or of several. `examples/custom_op.rs` has one of an application's
/// own, which says its type, its shapes and its ops; what files need of a layer has defaults.
pub trait Layer: Any + Debug + Send + Sync {
    /// The name of this layer type in model files, listings and messages.
    fn type_name(&self) -> &'static str;

    /// Sizes of its result, and its parameters, for one sample whose inputs have these shapes, [H, W, C] or `[features]`;
    /// or a sentence that says why they do not fit. There is one input, or two and more where the layer [joins](Layer::joins).
    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String>;

    /// Adds its ops to the graph, and gives its result.
    ///
    /// # Errors
    /// [`Error::Input`] if an op does not fit its arguments.
    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor>;

    /// [`Layer::build`], with the states and the attention weights of the layer.
    ///
    /// # Errors
    /// As [`Layer::build`].
    fn build_whole(&self, graph: &mut Graph, at: &Inputs) -> Result<Built> {
        self.build(graph, at).map(Built::from)
    }

    /// The states that it ends in, with which another recurrence may begin; none of a layer without states.
    fn ends(&self) -> Option<States> {
        None
    }

    /// The states that it can begin with in place of zeros; none of a layer that cannot.
    fn begins(&self) -> Option<States> {
        None
    }

    /// Whether the states that it ends in are those that it begins with in the next batch of a text.
    fn carries(&self) -> bool {
        false
    }

    /// Whether its first parameter, a weight [units, features], may be that of an embedding of as many tokens.
    fn may_tie(&self) -> bool {
        false
    }

    /// Whether a text that it continues has at most as many tokens as the model's input.
    fn is_bounded(&self) -> bool {
        false
    }

    /// Whether it reads the result before it and one or more besides: those that `from` names.
    fn joins(&self) -> bool {
        false
    }

    /// The values of its keys, in the order of its [`LayerType`]; none if no file can describe it.
    fn values(&self) -> Option<Vec<Value>> {
        None
    }

    /// Adds its nodes for inference, or says why there are none. The last one's result is the layer's; with no node at
    /// all it is its input.
    fn onnx(&self, _: &mut Onnx) -> Result<(), String> {
        Err("it has no form in ONNX".into())
    }

    /// Rows and columns of the window that it moves over an image.
    fn window(&self) -> Option<[usize; 2]> {
        None
    }

    /// How a file of Keras orders its weight.
    fn keras_weight(&self) -> KerasWeight {
        KerasWeight::OutputsLast
    }

    /// How weights of its shapes may belong to a layer that computes another thing, in PyTorch above all; none if shapes
    /// tell all. The inputs are as in [`Layer::infer`].
    fn lookalike(&self, _: &[&[usize]]) -> Option<String> {
        None
    }

    /// The layer in a few words, such as `conv2d 3 × 3`.
    fn describe(&self) -> String {
        let name = self.type_name();
        self.window().map_or_else(|| name.into(), |[h, w]| format!("{name} {h} × {w}"))
    }
}

/// How a file of Keras orders the weight of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KerasWeight {
    /// [KH, KW, I, O], or [features, units].
    OutputsLast,
    /// A row for each token, as PyTorch has it.
    Rows,
    /// [KH, KW, O, I] of a transposed convolution.
    InputsLast,
    /// [KH, KW, C, multiplier] of a depthwise convolution.
    Depthwise {
        /// Filters for each channel.
        multiplier: usize,
    },
}

/// A layer in a graph.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its result.
    pub result: Tensor,
    /// The states that it ends in, [batch, units] each, where they were asked for.
    pub states: Vec<Tensor>,
    /// Of an attention: the weight of each place that was looked at, [batch, places, places looked at].
    pub weights: Option<Tensor>,
}

impl From<Tensor> for Built {
    fn from(result: Tensor) -> Built {
        Built { result, states: Vec::new(), weights: None }
    }
}

/// The arguments of a layer's build.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Its place in the list of layers.
    pub index: usize,
    /// The results that it reads, [batch, H, W, C] or [batch, features].
    pub x: &'a [Tensor],
    /// How many places of each text are tokens, `[batch]`, for each of these results; only of texts that may be filled up.
    pub lengths: &'a [Option<Tensor>],
    /// The states that it begins with, in the order of [`Built::states`]; none where these are zeros.
    pub states: &'a [Tensor],
    /// Whether the states that it ends in are asked for.
    pub ends: bool,
    /// Its parameters, in the order of [`Layer::infer`].
    pub params: &'a [Tensor],
    /// The shape of its result, the batch included.
    pub shape: &'a [usize],
    /// Whether it is built for training or for inference.
    pub build: Build,
}

impl Inputs<'_> {
    /// Its inputs, then its parameters: the arguments of an op.
    pub fn arguments(&self) -> Vec<Tensor> {
        [self.x, self.params].concat()
    }

    /// Its first input, and how many tokens each text of it has, if these may be filled up.
    pub fn with_lengths(&self) -> Vec<Tensor> {
        self.x.iter().take(1).copied().chain(self.lengths.first().copied().flatten()).collect()
    }

    /// The control block, which a layer needs in training.
    ///
    /// # Errors
    /// [`Error::Input`] if there is none.
    pub fn control(&self) -> Result<Tensor> {
        self.build.control.ok_or_else(|| Error::input("found no control block, expected one for training"))
    }
}

/// A layer of a type with these values of its keys.
type Make = fn(&LayerType, &[Option<Value>]) -> Option<Arc<dyn Layer>>;

/// A line of the registry: a type of layer as files have it.
#[derive(Clone, Debug)]
pub struct LayerType {
    /// Its name in model files.
    pub name: &'static str,
    /// Its name in the description of a model in weight files.
    pub tag: &'static str,
    /// The key of the description that tells types of one tag apart: its value is [`LayerType::name`].
    pub told_by: Option<&'static str>,
    /// Its keys.
    pub keys: Vec<Key>,
    /// The layer of these values, as [`Keyed::of`].
    make: Make,
}

impl LayerType {
    /// The layer of these values, in the order of the keys, with its defaults if there is none; `None` if a
    /// required one is missing or one is of another kind.
    pub fn make(&self, values: &[Option<Value>]) -> Option<Arc<dyn Layer>> {
        (self.make)(self, values)
    }

    /// The keys of a layer of this type and their values, without those that files omit.
    pub(super) fn written(&self, values: &[Value]) -> Vec<(&Key, Value)> {
        // A default may depend on the keys before it.
        let default = |at: usize| {
            let others = values.iter().enumerate().map(|(n, value)| (n != at).then_some(*value));
            let layer = self.make(&others.collect::<Vec<_>>())?;
            layer.values()?.get(at).copied()
        };
        let pairs = self.keys.iter().zip(values).enumerate();
        let kept = pairs.filter(|(at, (key, value))| !key.omitted || default(*at) != Some(**value));
        kept.map(|(_, (key, value))| (key, *value)).collect()
    }
}

/// The type of a layer whose keys `layer!` has declared.
fn one<L: Layer + Keyed>() -> Vec<LayerType> {
    let make = |_: &LayerType, values: &[Option<Value>]| L::of(values).map(|layer| Arc::new(layer) as Arc<dyn Layer>);
    vec![LayerType { name: L::NAME, tag: L::NAME, told_by: None, keys: L::keys(), make }]
}

/// The type of a name in model files.
pub fn named(name: &str) -> Option<&'static LayerType> {
    TYPES.iter().find(|kind| kind.name == name)
}

/// The product of sizes that are all at least 1, where it is no more than `LARGEST`.
pub(super) fn elements(sizes: &[usize]) -> Option<usize> {
    let product = sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64))?;
    (1..=LARGEST as u64).contains(&product).then_some(product as usize)
}

/// The sizes of an input that must be an image.
fn image(inputs: &[&[usize]]) -> Result<[usize; 3], String> {
    let expected = "an image [height, width, channels]: it must come before the flatten";
    sizes(inputs).map_err(|found| format!("{found}, expected {expected}"))
}

/// The sizes of an input that must be a sequence.
fn sequence(inputs: &[&[usize]]) -> Result<[usize; 2], String> {
    let expected = "a sequence [places, features], as an embedding or tokens give";
    sizes(inputs).map_err(|found| format!("{found}, expected {expected}"))
}

/// The sizes of an input that must have `N` of them, or what was found.
fn sizes<const N: usize>(inputs: &[&[usize]]) -> Result<[usize; N], String> {
    let input = inputs.first().copied().unwrap_or_default();
    input.try_into().map_err(|_| format!("found an input of shape {input:?}"))
}

/// The channels, or features, of an input.
fn channels(inputs: &[&[usize]]) -> Result<usize, String> {
    let last = inputs.first().and_then(|input| input.last());
    last.copied().ok_or_else(|| "found a single number, expected channels".into())
}

/// Whether the weights of this shape are few enough.
fn check_weights(shape: &[usize]) -> Result<(), String> {
    check_elements("weights", shape)
}

fn check_elements(what: &str, sizes: &[usize]) -> Result<(), String> {
    match elements(sizes) {
        Some(_) => Ok(()),
        None => Err(format!("found {what} of shape {sizes:?}, expected at most {LARGEST} elements")),
    }
}

#[cfg(test)]
mod tests;
