//! Convolution of each channel alone.

use super::conv2d::Window;
use super::*;
use crate::model::layers::keys::{BIAS, PADDING, PAIR, SIZE};
use crate::ops::conv::conv2d_grouped::Conv2dGrouped;
use crate::ops::conv::geometry::Padding;
use crate::ops::pointwise::then::Then;

layer! {
    /// Convolution of each channel alone: [H, W, C] to [OH, OW, C · multiplier]. Keras's `DepthwiseConv2D`.
    DepthwiseConv2d "depthwise_conv2d"
    needs {
        /// Rows and columns of the window.
        kernel: [usize; 2] => PAIR,
    }
    takes {
        /// Rows and columns from one place to the next.
        stride: [usize; 2] = [1, 1] => PAIR,
        /// The padding around the image.
        padding: Padding = Padding::Valid => PADDING,
        /// Rows and columns from one tap of the window to the next.
        dilation: [usize; 2] = [1, 1] => PAIR,
        /// Filters for each channel, one after the other.
        multiplier: usize = 1 => SIZE,
        /// Whether it has a bias.
        bias: bool = true => BIAS,
    }
}

impl DepthwiseConv2d {
    fn grouped(&self, channels: usize) -> Window {
        let DepthwiseConv2d { kernel, stride, padding, dilation, multiplier, bias } = *self;
        let conv = Conv2dGrouped { stride, padding, dilation, groups: channels, then: Then::Nothing };
        Window { conv, kernel, filters: channels.saturating_mul(multiplier), bias }
    }
}

impl Layer for DepthwiseConv2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [h, w, c] = image(inputs)?;
        self.grouped(c).infer([h, w, c])
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let channels = graph.shape(at.x[0]).last().copied().unwrap_or(1);
        self.grouped(channels).build(graph, at)
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let [_, _, channels] = image(&onnx.shapes)?;
        self.grouped(channels).onnx(onnx)
    }

    fn lookalike(&self, inputs: &[&[usize]]) -> Option<String> {
        let [h, w, c] = image(inputs).ok()?;
        self.grouped(c).lookalike([h, w, c])
    }

    fn window(&self) -> Option<[usize; 2]> {
        Some(self.kernel)
    }

    fn keras_weight(&self) -> KerasWeight {
        KerasWeight::Depthwise { multiplier: self.multiplier }
    }
}
