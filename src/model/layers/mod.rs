//! The layers that a model is a list of. What one makes of its input stands in `infer`, the ops that it is made of in `build`.

mod build;
pub mod custom;
mod infer;

pub(super) use infer::elements;
pub use infer::{EPSILON, Inferred, MOMENTUM, ParamSpec};

use crate::error::{Error, Result};
use crate::model::layers::custom::Custom;
use crate::ops::conv::geometry::Padding;
use crate::ops::pointwise::activation::Function;
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

    fn error(&self, index: usize, why: String) -> Error {
        Error::input(format!("layer {index} ({}): {why}", self.type_name()))
    }
}

#[cfg(test)]
mod tests;
