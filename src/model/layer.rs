//! One layer: its sizes, its parameters and the ops that it is made of.

use super::custom::Custom;
use super::{Build, Mode, in_context};
use crate::error::{Error, Result};
use crate::graph::{Graph, Layout, Tensor};
use crate::ops::activation::{Activation, Function};
use crate::ops::add::Add;
use crate::ops::add_bias::AddBias;
use crate::ops::avg_pool2d::AvgPool2d;
use crate::ops::batch_norm::BatchNorm;
use crate::ops::concat::Concat;
use crate::ops::conv2d::Conv2d;
use crate::ops::conv2d_dx::Conv2dDx;
use crate::ops::conv2d_grouped::Conv2dGrouped;
use crate::ops::dropout::Dropout;
use crate::ops::geometry::{Geometry, Padding};
use crate::ops::layer_norm::LayerNorm;
use crate::ops::matmul_nt::MatmulNt;
use crate::ops::max_pool2d::MaxPool2d;
use crate::ops::relu::Relu;
use crate::ops::reshape::Reshape;
use crate::ops::transpose::Transpose;
use crate::ops::upsample2d::Upsample2d;
use serde::{Deserialize, Serialize};

/// The largest size in a model, and the most elements of one of its tensors: kernels count in 32 bits.
pub const LARGEST: usize = i32::MAX as usize;

/// One entry of a model's list of layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// Convolution with bias: [H, W, C] to [OH, OW, filters].
    Conv2d {
        /// Channels of the result.
        filters: usize,
        /// Rows and columns of the window.
        kernel: [usize; 2],
        /// Rows and columns from one place to the next.
        stride: [usize; 2],
        /// What is added around the image.
        padding: Padding,
        /// Rows and columns from one tap of the window to the next.
        #[serde(default = "near", skip_serializing_if = "is_near")]
        dilation: [usize; 2],
        /// Groups of channels: those of the input and the filters fall into so many, each filter reads its own alone.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        groups: usize,
    },
    /// Convolution with bias of each channel alone: [H, W, C] to [OH, OW, C · multiplier].
    DepthwiseConv2d {
        /// Rows and columns of the window.
        kernel: [usize; 2],
        /// Rows and columns from one place to the next.
        stride: [usize; 2],
        /// What is added around the image.
        padding: Padding,
        /// Rows and columns from one tap of the window to the next.
        dilation: [usize; 2],
        /// Filters for each channel, one behind the other.
        multiplier: usize,
    },
    /// Transposed convolution with bias, a convolution's gradient with respect to its input: [H, W, C] to [OH, OW, filters],
    /// OH = (H - 1) · stride + kernel where padding is valid and H · stride where it is same.
    ConvTranspose2d {
        /// Channels of the result.
        filters: usize,
        /// Rows and columns of the window.
        kernel: [usize; 2],
        /// Rows and columns of the result from one place of the input to the next.
        stride: [usize; 2],
        /// What the convolution adds around its image, and this crops.
        padding: Padding,
    },
    // The braces make serde refuse unknown keys here too.
    /// max(x, 0), of any shape.
    Relu {},
    /// The largest value of each window: [H, W, C] to [OH, OW, C], without padding.
    MaxPool2d {
        /// Rows and columns of the window.
        size: [usize; 2],
        /// Rows and columns from one window to the next.
        stride: [usize; 2],
    },
    /// The mean of each window: [H, W, C] to [OH, OW, C], without padding.
    AvgPool2d {
        /// Rows and columns of the window.
        size: [usize; 2],
        /// Rows and columns from one window to the next.
        stride: [usize; 2],
    },
    /// The mean of each channel over the whole image: [H, W, C] to `[C]` features.
    GlobalAvgPool2d {},
    /// The largest value of each channel in the whole image: [H, W, C] to `[C]` features.
    GlobalMaxPool2d {},
    /// Batch normalisation, channel by channel, or feature by feature: the shape stays. The statistics are the batch's in
    /// training, running ones in inference. Both numbers have PyTorch's meaning.
    BatchNorm {
        /// What is added to the variance.
        epsilon: f64,
        /// The share of a batch in the running statistics.
        momentum: f64,
    },
    /// Layer normalisation over the last axis: the features of a sample, or the channels of each place of an image, as
    /// PyTorch's `LayerNorm(C)` of N, H, W, C. The shape stays.
    LayerNorm {
        /// What is added to the variance.
        epsilon: f64,
    },
    /// [H, W, C] to [C·H·W] features in the order C, H, W; features stay as they are.
    Flatten {},
    /// Every feature to every unit, with bias: `[features]` to `[units]`.
    Dense {
        /// Features of the result.
        units: usize,
    },
    /// An activation, of any shape.
    Activation {
        /// Its function; model files have its name as the type.
        function: Function,
        /// Its slope; 0 where the function has none.
        slope: f32,
    },
    /// Zeroes a share of the elements in training and scales up the others; does nothing in inference.
    Dropout {
        /// The share, at least 0 and below 1.
        rate: f32,
    },
    /// Every pixel becomes a block, by the nearest neighbour: [H, W, C] to [H·rows, W·columns, C].
    Upsample2d {
        /// Rows and columns of a block.
        factor: [usize; 2],
    },
    /// The sum of the last result and that of an earlier layer, of one shape: a residual connection.
    Add {
        /// The place of the earlier layer in the list.
        from: usize,
    },
    /// The channels (or features) of the last result, then those of an earlier layer's; all other sizes are equal.
    Concat {
        /// The place of the earlier layer in the list.
        from: usize,
    },
    /// A layer of an application's own. No file can describe it: neither a weight file, nor a model file, nor ONNX.
    #[serde(skip)]
    Custom(Custom),
}

fn near() -> [usize; 2] {
    [1, 1]
}

fn is_near(dilation: &[usize; 2]) -> bool {
    *dilation == near()
}

fn one() -> usize {
    1
}

fn is_one(groups: &usize) -> bool {
    *groups == 1
}

/// A parameter as the weight file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Its name: the index of its layer, then `.weight` or `.bias`.
    pub name: String,
    /// Its sizes: [O, I, KH, KW] ([I, O, KH, KW] of a transposed convolution) or [units, features] for weights, one size
    /// for a bias.
    pub file_shape: Vec<usize>,
    /// Values that flow into one output of the layer.
    pub fan_in: usize,
    /// Outputs of the layer that one value flows into.
    pub fan_out: usize,
    /// Whether it is a bias.
    pub is_bias: bool,
    /// What every value of it starts as; none where it is drawn, or is a bias and starts as 0.
    pub starts_at: Option<f32>,
    /// Whether it is a running statistic, which no gradient reaches and each step of training moves.
    pub running: bool,
}

impl ParamSpec {
    /// How it lies in memory: the weights of a convolution with their first two axes last, as [KH, KW, I, O], all else as
    /// in the file.
    pub fn layout(&self) -> Layout {
        let perm = if self.file_shape.len() == 4 { vec![2, 3, 1, 0] } else { (0..self.file_shape.len()).collect() };
        Layout { file_shape: self.file_shape.clone(), perm }
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.file_shape.iter().product()
    }
}

/// What a layer makes of its input.
#[derive(Clone, Debug, PartialEq)]
pub struct Inferred {
    /// Sizes of its result for one sample: [H, W, C] or `[features]`.
    pub shape: Vec<usize>,
    /// Its parameters: weights, then bias, or none.
    pub params: Vec<ParamSpec>,
}

/// The product of sizes that are all at least 1, where it is no more than `LARGEST`.
pub(super) fn elements(sizes: &[usize]) -> Option<usize> {
    let product = sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64))?;
    (1..=LARGEST as u64).contains(&product).then_some(product as usize)
}

impl Layer {
    /// What the model file calls this type of layer.
    pub fn type_name(&self) -> &'static str {
        match self {
            Layer::Conv2d { .. } => "conv2d",
            Layer::DepthwiseConv2d { .. } => "depthwise_conv2d",
            Layer::ConvTranspose2d { .. } => "conv_transpose2d",
            Layer::Relu {} => "relu",
            Layer::MaxPool2d { .. } => "max_pool2d",
            Layer::AvgPool2d { .. } => "avg_pool2d",
            Layer::GlobalAvgPool2d {} => "global_avg_pool2d",
            Layer::GlobalMaxPool2d {} => "global_max_pool2d",
            Layer::BatchNorm { .. } => "batch_norm",
            Layer::LayerNorm { .. } => "layer_norm",
            Layer::Flatten {} => "flatten",
            Layer::Dense { .. } => "dense",
            Layer::Activation { function, .. } => function.name(),
            Layer::Dropout { .. } => "dropout",
            Layer::Upsample2d { .. } => "upsample2d",
            Layer::Add { .. } => "add",
            Layer::Concat { .. } => "concat",
            Layer::Custom(custom) => custom.0.type_name(),
        }
    }

    /// Its own sizes, by the names of the model file.
    fn sizes(&self) -> Vec<(&'static str, usize)> {
        let pair = |key, [h, w]: [usize; 2]| [(key, h), (key, w)];
        match *self {
            Layer::Conv2d { filters, kernel, stride, dilation, groups, .. } => {
                let own = [&[("filters", filters)], &pair("kernel", kernel)[..], &pair("stride", stride)].concat();
                [&own[..], &pair("dilation", dilation), &[("groups", groups)]].concat()
            }
            Layer::DepthwiseConv2d { kernel, stride, dilation, multiplier, .. } => {
                let own = [pair("kernel", kernel), pair("stride", stride), pair("dilation", dilation)].concat();
                [&own[..], &[("multiplier", multiplier)]].concat()
            }
            Layer::ConvTranspose2d { filters, kernel, stride, .. } => {
                [&[("filters", filters)], &pair("kernel", kernel)[..], &pair("stride", stride)].concat()
            }
            Layer::MaxPool2d { size, stride } | Layer::AvgPool2d { size, stride } => {
                [pair("size", size), pair("stride", stride)].concat()
            }
            Layer::Upsample2d { factor } => pair("factor", factor).to_vec(),
            Layer::Dense { units } => vec![("units", units)],
            Layer::GlobalAvgPool2d {} | Layer::GlobalMaxPool2d {} | Layer::BatchNorm { .. } => Vec::new(),
            Layer::LayerNorm { .. } => Vec::new(),
            Layer::Relu {}
            | Layer::Flatten {}
            | Layer::Activation { .. }
            | Layer::Dropout { .. }
            | Layer::Add { .. }
            | Layer::Concat { .. }
            | Layer::Custom(_) => Vec::new(),
        }
    }

    /// The place of the earlier layer whose result it reads besides the last one.
    pub fn joins(&self) -> Option<usize> {
        match *self {
            Layer::Add { from } | Layer::Concat { from } => Some(from),
            _ => None,
        }
    }

    /// What it reads besides the last result, out of what the layers before it gave.
    pub(crate) fn other<'a, T>(&self, index: usize, earlier: &'a [T]) -> Result<Option<&'a T>> {
        let Some(from) = self.joins() else { return Ok(None) };
        let missing = || self.error(index, format!("found from = {from}, expected the place of an earlier layer"));
        earlier.get(from).map(Some).ok_or_else(missing)
    }

    /// The shape of its result and its parameters, for one sample of the shape `input`: [H, W, C] or
    /// `[features]`. `index` is its place in the list of layers.
    ///
    /// # Errors
    /// [`Error::Input`] where the layer does not fit its input or a size is 0 or beyond [`LARGEST`].
    pub fn infer(&self, index: usize, input: &[usize]) -> Result<Inferred> {
        self.infer_joined(index, input, None)
    }

    /// `infer` of a layer that may read another result besides the last, of the shape `other`.
    pub(crate) fn infer_joined(&self, index: usize, input: &[usize], other: Option<&[usize]>) -> Result<Inferred> {
        self.infer_sizes(index, input, other).map_err(|why| self.error(index, why))
    }

    fn infer_sizes(&self, index: usize, input: &[usize], other: Option<&[usize]>) -> Result<Inferred, String> {
        for (key, size) in self.sizes() {
            if !(1..=LARGEST).contains(&size) {
                return Err(format!("found {key} = {size}, expected 1 to {LARGEST}"));
            }
        }
        if elements(input).is_none() {
            return Err(format!("found an input of {input:?}, expected 1 to {LARGEST} elements"));
        }
        let (shape, weight) = match (self, input) {
            (Layer::Conv2d { .. } | Layer::DepthwiseConv2d { .. }, &[h, w, c]) => {
                let Some((conv, [kh, kw], filters)) = self.grouped(c) else { return Err("no convolution".into()) };
                let s = conv.sizes([1, h, w, c], [kh, kw], filters)?;
                let (shape, weight) = (vec![s.g.oh, s.g.ow, filters], vec![filters, s.inner, kh, kw]);
                check_elements("a result", &shape)?;
                check_elements("weights", &weight)?;
                let fans = [s.inner, s.outer].map(|channels| channels * kh * kw);
                return Ok(Inferred { shape, params: weight_and_bias(index, weight, filters, fans) });
            }
            (&Layer::ConvTranspose2d { filters, kernel: [kh, kw], stride: [sh, sw], padding }, &[h, w, c]) => {
                let shape = vec![padding.transposed(h, kh, sh), padding.transposed(w, kw, sw), filters];
                let weight = vec![c, filters, kh, kw];
                check_elements("a result", &shape)?;
                check_elements("weights", &weight)?;
                let fans = [c, filters].map(|channels| channels * kh * kw);
                return Ok(Inferred { shape, params: weight_and_bias(index, weight, filters, fans) });
            }
            (&Layer::MaxPool2d { size, stride } | &Layer::AvgPool2d { size, stride }, &[h, w, c]) => {
                let g = Geometry::new([1, h, w, c], size, c, stride, Padding::Valid)?;
                (vec![g.oh, g.ow, c], Vec::new())
            }
            (&Layer::BatchNorm { epsilon, momentum }, &[.., c]) => {
                check_number("epsilon", epsilon, epsilon > 0.0, EPSILON)?;
                check_number("momentum", momentum, (0.0..=1.0).contains(&momentum), MOMENTUM)?;
                return Ok(Inferred { shape: input.to_vec(), params: norm_params(index, c, true) });
            }
            (&Layer::LayerNorm { epsilon }, &[.., c]) => {
                check_number("epsilon", epsilon, epsilon > 0.0, EPSILON)?;
                return Ok(Inferred { shape: input.to_vec(), params: norm_params(index, c, false) });
            }
            (Layer::BatchNorm { .. } | Layer::LayerNorm { .. }, []) => {
                return Err("found a single number, expected channels".into());
            }
            (Layer::GlobalAvgPool2d {} | Layer::GlobalMaxPool2d {}, &[_, _, c]) => (vec![c], Vec::new()),
            (&Layer::Upsample2d { factor: [fh, fw] }, &[h, w, c]) => (vec![h * fh, w * fw, c], Vec::new()),
            (Layer::Conv2d { .. } | Layer::DepthwiseConv2d { .. } | Layer::ConvTranspose2d { .. }, _)
            | (Layer::MaxPool2d { .. } | Layer::AvgPool2d { .. }, _)
            | (Layer::GlobalAvgPool2d {} | Layer::GlobalMaxPool2d {} | Layer::Upsample2d { .. }, _) => {
                return Err(format!(
                    "found an input of shape {input:?}, expected an image [height, width, channels]: it must come before the flatten"
                ));
            }
            (&Layer::Dense { units }, &[features]) => (vec![units], vec![units, features]),
            (Layer::Dense { .. }, _) => {
                return Err(format!(
                    "found an input of shape {input:?}, expected [features]: a flatten must come before it"
                ));
            }
            (Layer::Custom(custom), _) => {
                let inferred = custom.0.infer(index, input)?;
                let weights = inferred.params.iter().map(|param| ("weights", &param.file_shape));
                for (what, sizes) in std::iter::once(("a result", &inferred.shape)).chain(weights) {
                    check_elements(what, sizes)?;
                }
                return Ok(inferred);
            }
            (Layer::Flatten {}, _) => (vec![input.iter().product()], Vec::new()),
            (&Layer::Dropout { rate }, _) => {
                if !(0.0..1.0).contains(&rate) {
                    return Err(format!("found rate = {rate}, expected at least 0 and below 1"));
                }
                (input.to_vec(), Vec::new())
            }
            (&Layer::Add { from }, _) | (&Layer::Concat { from }, _) => {
                let other = other.ok_or_else(|| format!("found no result of layer {from}, expected one"))?;
                let added = matches!(self, Layer::Add { .. }) && input == other;
                match (input, other) {
                    _ if added => (input.to_vec(), Vec::new()),
                    ([rows @ .., a], [others @ .., b]) if matches!(self, Layer::Concat { .. }) && rows == others => {
                        ([rows, &[a + b]].concat(), Vec::new())
                    }
                    _ => {
                        let but = if matches!(self, Layer::Add { .. }) { "" } else { ", but for the last size" };
                        return Err(format!("found {input:?} and {other:?} of layer {from}, expected one shape{but}"));
                    }
                }
            }
            (Layer::Relu {}, _) => (input.to_vec(), Vec::new()),
            (&Layer::Activation { function, slope }, _) => {
                if !slope.is_finite() || function.slope().is_none() && slope != 0.0 {
                    return Err(format!("found slope = {slope}, expected a finite number, and 0 where there is none"));
                }
                (input.to_vec(), Vec::new())
            }
        };
        check_elements("a result", &shape)?;
        check_elements("weights", &weight)?;
        Ok(Inferred { shape, params: params(index, weight) })
    }

    /// Adds the ops of this layer, and its parameters, behind `x`: [batch, H, W, C] or [batch, features]. `build` says
    /// whether for training or for inference.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Layer::infer`] says, and where the batch makes the result too large.
    pub fn build(&self, index: usize, graph: &mut Graph, x: Tensor, build: Build) -> Result<Tensor> {
        self.build_joined(index, graph, x, None, build)
    }

    /// `build` of a layer that may read another result besides the last.
    pub(crate) fn build_joined(
        &self,
        index: usize,
        graph: &mut Graph,
        x: Tensor,
        other: Option<Tensor>,
        build: Build,
    ) -> Result<Tensor> {
        let found = graph.shape(x).to_vec();
        let Some((&batch, input)) = found.split_first() else {
            return Err(self.error(index, "found a single number, expected a batch".into()));
        };
        let beside = other.map(|other| graph.shape(other).to_vec());
        if beside.as_ref().is_some_and(|beside| beside.first() != Some(&batch)) {
            return Err(self.error(index, format!("found batches {found:?} and {beside:?}, expected one size")));
        }
        let beside = beside.as_ref().and_then(|beside| beside.get(1..));
        let Inferred { shape, params } = self.infer_joined(index, input, beside)?;
        let shape = [vec![batch], shape].concat();
        if elements(&shape).is_none() || elements(&found).is_none() {
            let why = format!("found a batch that takes {found:?} to {shape:?}, expected 1 to {LARGEST} elements");
            return Err(self.error(index, why));
        }
        let mut add =
            |p: &ParamSpec| graph.param(p.name.clone(), crate::graph::Shape(p.file_shape.clone()), p.layout());
        let params: Vec<(&ParamSpec, Tensor)> = params.iter().map(|param| (param, add(param))).collect();
        let running = params.iter().filter(|(param, _)| param.running);
        running.for_each(|(_, tensor)| graph.make_running(*tensor));
        let arguments: Vec<Tensor> = std::iter::once(x).chain(other).chain(params.iter().map(|(_, t)| *t)).collect();
        let shape = crate::graph::Shape(shape);
        let results = match (self, input) {
            (&Layer::Conv2d { stride, padding, dilation: [1, 1], groups: 1, .. }, _) => {
                graph.apply(Conv2d { stride, padding, relu: false }, &arguments)
            }
            (Layer::Conv2d { .. } | Layer::DepthwiseConv2d { .. }, &[.., c]) => match self.grouped(c) {
                Some((conv, ..)) => graph.apply(conv, &arguments),
                None => Ok(Vec::new()),
            },
            (&Layer::ConvTranspose2d { stride, padding, .. }, _) => {
                let (conv, input) = (Conv2d { stride, padding, relu: false }, [shape.0[1], shape.0[2]]);
                let spread = graph.apply(Conv2dDx { conv, input, masked: false }, &arguments[..2]);
                spread.and_then(|spread| graph.apply(AddBias { relu: false }, &[spread[0], arguments[2]]))
            }
            (Layer::Conv2d { .. } | Layer::DepthwiseConv2d { .. }, _) => Ok(Vec::new()),
            (Layer::Relu {}, _) => graph.apply(Relu, &arguments),
            (&Layer::MaxPool2d { size, stride }, _) => graph.apply(MaxPool2d { size, stride }, &arguments),
            (&Layer::AvgPool2d { size, stride }, _) => graph.apply(AvgPool2d { size, stride }, &arguments),
            (Layer::GlobalAvgPool2d {}, &[h, w, _]) => {
                let pooled = graph.apply(AvgPool2d { size: [h, w], stride: [1, 1] }, &arguments);
                pooled.and_then(|pooled| graph.apply(Reshape { shape }, &pooled))
            }
            (Layer::GlobalMaxPool2d {}, &[h, w, _]) => {
                let pooled = graph.apply(MaxPool2d { size: [h, w], stride: [1, 1] }, &arguments);
                pooled.and_then(|pooled| graph.apply(Reshape { shape }, &pooled[..1]))
            }
            (Layer::GlobalAvgPool2d {} | Layer::GlobalMaxPool2d {}, _) => Ok(Vec::new()),
            (&Layer::LayerNorm { epsilon }, _) => graph.apply(LayerNorm { epsilon }, &arguments),
            (&Layer::BatchNorm { epsilon, momentum }, _) => match build {
                Build { mode: Mode::Inference, .. } => {
                    graph.apply(BatchNorm { epsilon, momentum, training: false }, &arguments)
                }
                Build { control: Some(control), .. } => graph
                    .apply(BatchNorm { epsilon, momentum, training: true }, &[&arguments[..3], &[control]].concat()),
                Build { control: None, .. } => Err(Error::failed("training without a control block")),
            },
            (Layer::Flatten {}, &[h, w, c]) if h * w > 1 && c > 1 => {
                graph.apply(Transpose { n: batch, rows: h * w, columns: c, shape }, &arguments)
            }
            (Layer::Flatten {}, [_]) => Ok(arguments),
            (Layer::Flatten {}, _) => graph.apply(Reshape { shape }, &arguments),
            (Layer::Dense { .. }, _) => graph.apply(MatmulNt { relu: false }, &arguments),
            (&Layer::Activation { function, slope }, _) => graph.apply(Activation { function, slope }, &arguments),
            (&Layer::Upsample2d { factor }, _) => graph.apply(Upsample2d { factor }, &arguments),
            (Layer::Add { .. }, _) => graph.apply(Add, &arguments),
            (Layer::Concat { .. }, _) => graph.apply(Concat, &arguments),
            (&Layer::Dropout { rate }, _) => match (build.mode, build.control) {
                (Mode::Training, Some(control)) => graph.apply(Dropout { rate, salt: index as u32 }, &[control, x]),
                (Mode::Training, None) => {
                    return Err(self.error(index, "found no control block, expected one for training".into()));
                }
                (Mode::Inference, _) => Ok(arguments),
            },
            (Layer::Custom(custom), _) => custom.0.build(graph, x, &arguments[1..]).and_then(|y| {
                let found = &graph.info(y).shape;
                match *found == shape {
                    true => Ok(vec![y]),
                    false => Err(Error::input(format!("found a result of {found}, expected {shape} as it infers"))),
                }
            }),
        };
        let results = results.map_err(|error| in_context(&format!("layer {index}"), error))?;
        results.first().copied().ok_or_else(|| self.error(index, "found no result, expected one".into()))
    }

    /// A convolution of so many channels, its window and its filters, whatever its groups and its dilation.
    pub(crate) fn grouped(&self, channels: usize) -> Option<(Conv2dGrouped, [usize; 2], usize)> {
        let conv = |stride, padding, dilation, groups| Conv2dGrouped { stride, padding, dilation, groups, relu: false };
        match *self {
            Layer::Conv2d { filters, kernel, stride, padding, dilation, groups } => {
                Some((conv(stride, padding, dilation, groups), kernel, filters))
            }
            Layer::DepthwiseConv2d { kernel, stride, padding, dilation, multiplier } => {
                let filters = channels.saturating_mul(multiplier);
                Some((conv(stride, padding, dilation, channels), kernel, filters))
            }
            _ => None,
        }
    }

    fn error(&self, index: usize, why: String) -> Error {
        Error::input(format!("layer {index} ({}): {why}", self.type_name()))
    }
}

fn check_elements(what: &str, sizes: &[usize]) -> Result<(), String> {
    match elements(sizes) {
        Some(_) => Ok(()),
        None => Err(format!("found {what} of shape {sizes:?}, expected at most {LARGEST} elements")),
    }
}

/// What a normalisation's epsilon may be.
pub const EPSILON: &str = "a number above 0";
/// What a batch normalisation's momentum may be.
pub const MOMENTUM: &str = "a number from 0 to 1";

fn check_number(key: &str, found: f64, fits: bool, expected: &str) -> Result<(), String> {
    match fits && found.is_finite() {
        true => Ok(()),
        false => Err(format!("found {key} = {found}, expected {expected}")),
    }
}

/// γ and β of a normalisation over `channels`, and its running statistics where it has them, by PyTorch's names.
fn norm_params(index: usize, channels: usize, running: bool) -> Vec<ParamSpec> {
    let spec = |(end, starts_at, running): (&str, f32, bool)| ParamSpec {
        name: format!("{index}.{end}"),
        file_shape: vec![channels],
        fan_in: 1,
        fan_out: 1,
        is_bias: end == "bias",
        starts_at: Some(starts_at),
        running,
    };
    let own = [("weight", 1.0, false), ("bias", 0.0, false), ("running_mean", 0.0, true), ("running_var", 1.0, true)];
    own.into_iter().filter(|(_, _, of_running)| running || !of_running).map(spec).collect()
}

fn params(index: usize, weight: Vec<usize>) -> Vec<ParamSpec> {
    let [outputs, inputs] = weight[..] else { return Vec::new() };
    weight_and_bias(index, weight, outputs, [inputs, outputs])
}

/// A weight, and a bias of so many outputs.
fn weight_and_bias(index: usize, weight: Vec<usize>, outputs: usize, fans: [usize; 2]) -> Vec<ParamSpec> {
    let spec = |end: &str, file_shape: Vec<usize>| ParamSpec {
        name: format!("{index}.{end}"),
        is_bias: file_shape.len() == 1,
        file_shape,
        fan_in: fans[0],
        fan_out: fans[1],
        starts_at: None,
        running: false,
    };
    vec![spec("weight", weight.clone()), spec("bias", vec![outputs])]
}

#[cfg(test)]
mod tests;
