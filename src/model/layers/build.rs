//! The ops of a layer, added to a graph.

use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Tensor};
use crate::model::layers::infer::{Inferred, ParamSpec, elements};
use crate::model::layers::{LARGEST, Layer};
use crate::model::{Build, Mode, in_context};
use crate::ops::conv::conv2d::Conv2d;
use crate::ops::conv::conv2d_dx::Conv2dDx;
use crate::ops::conv::conv2d_grouped::Conv2dGrouped;
use crate::ops::matmul::matmul_nt::MatmulNt;
use crate::ops::norm::batch_norm::BatchNorm;
use crate::ops::norm::layer_norm::LayerNorm;
use crate::ops::pointwise::activation::Activation;
use crate::ops::pointwise::add::Add;
use crate::ops::pointwise::add_bias::AddBias;
use crate::ops::pointwise::dropout::Dropout;
use crate::ops::pointwise::relu::Relu;
use crate::ops::pool::avg_pool2d::AvgPool2d;
use crate::ops::pool::max_pool2d::MaxPool2d;
use crate::ops::shape::concat::Concat;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::transpose::Transpose;
use crate::ops::shape::upsample2d::Upsample2d;

impl Layer {
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
            |p: &ParamSpec| graph.param(p.name.clone(), crate::ir::graph::Shape(p.file_shape.clone()), p.layout());
        let params: Vec<(&ParamSpec, Tensor)> = params.iter().map(|param| (param, add(param))).collect();
        let running = params.iter().filter(|(param, _)| param.running);
        running.for_each(|(_, tensor)| graph.make_running(*tensor));
        let arguments: Vec<Tensor> = std::iter::once(x).chain(other).chain(params.iter().map(|(_, t)| *t)).collect();
        let shape = crate::ir::graph::Shape(shape);
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
}
