//! Convolution, also in groups and with dilation.

use super::*;
use crate::model::layers::keys::{BIAS, PADDING, PAIR, SIZE};
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::weight_and_bias;
use crate::ops;
use crate::ops::conv::conv2d_grouped::{Conv2dGrouped, Grouped};
use crate::ops::conv::geometry::Padding;
use crate::ops::pointwise::then::Then;

layer! {
    /// Convolution: [H, W, C] to [OH, OW, filters]. PyTorch's `Conv2d`.
    Conv2d "conv2d"
    needs {
        /// Channels of the result.
        filters: usize => SIZE,
        /// Rows and columns of the window.
        kernel: [usize; 2] => PAIR,
    }
    takes {
        /// Rows and columns from one place to the next.
        stride: [usize; 2] = [1, 1] => PAIR,
        /// The padding around the image.
        padding: Padding = Padding::Valid => PADDING,
        /// Rows and columns from one tap of the window to the next.
        dilation: [usize; 2] = [1, 1] => PAIR.omitted(),
        /// Groups of channels: the input's channels and the filters are divided into this number of groups, and each
        /// filter reads the channels of its own group.
        groups: usize = 1 => SIZE.omitted(),
        /// Whether it has a bias.
        bias: bool = true => BIAS,
    }
}

impl Conv2d {
    fn grouped(&self) -> Window {
        let Conv2d { filters, kernel, stride, padding, dilation, groups, bias } = *self;
        let conv = Conv2dGrouped { stride, padding, dilation, groups, then: Then::Nothing };
        Window { conv, kernel, filters, bias }
    }
}

impl Layer for Conv2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        self.grouped().infer(image(inputs)?)
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let Conv2d { stride, padding, .. } = *self;
        if (self.dilation, self.groups) != ([1, 1], 1) {
            return self.grouped().build(graph, at);
        }
        let conv = ops::conv::conv2d::Conv2d::new(stride, padding);
        let arguments = at.arguments();
        Ok(graph.apply(conv, &arguments)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        self.grouped().onnx(onnx)
    }

    fn lookalike(&self, inputs: &[&[usize]]) -> Option<String> {
        self.grouped().lookalike(image(inputs).ok()?)
    }

    fn window(&self) -> Option<[usize; 2]> {
        Some(self.kernel)
    }
}

/// Shared by convolutions and depthwise convolutions: a grouped convolution and its window.
pub(super) struct Window {
    pub conv: Conv2dGrouped,
    pub kernel: [usize; 2],
    pub filters: usize,
    pub bias: bool,
}

impl Window {
    pub fn infer(&self, [h, w, c]: [usize; 3]) -> Result<Inferred, String> {
        let Window { conv, kernel: [kh, kw], filters, bias } = *self;
        let s = conv.sizes([1, h, w, c], [kh, kw], filters)?;
        let (shape, weight) = (vec![s.g.oh, s.g.ow, filters], vec![filters, s.inner, kh, kw]);
        check_elements("a result", &shape)?;
        check_weights(&weight)?;
        let fans = [s.inner, s.outer].map(|channels| channels * kh * kw);
        Ok(Inferred { shape, params: weight_and_bias(weight, filters, fans, bias) })
    }

    pub fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let arguments = at.arguments();
        Ok(graph.apply(self.conv, &arguments)?[0])
    }

    /// Zeros around the image: above, left, below, right.
    fn pads(&self, s: Grouped) -> [usize; 4] {
        let (g, [dh, dw]) = (s.g, s.dilation);
        let after = |places: usize, stride: usize, window: usize, size: usize, before: usize| {
            ((places - 1) * stride + window).saturating_sub(size + before)
        };
        let (tall, wide) = ((g.kh - 1) * dh + 1, (g.kw - 1) * dw + 1);
        [g.pt, g.pl, after(g.oh, g.sh, tall, g.h, g.pt), after(g.ow, g.sw, wide, g.w, g.pl)]
    }

    /// That PyTorch pads both sides alike, where this does not.
    pub fn lookalike(&self, [h, w, c]: [usize; 3]) -> Option<String> {
        if self.conv.padding != Padding::Same {
            return None;
        }
        let [top, left, bottom, right] = self.pads(self.conv.sizes([1, h, w, c], self.kernel, self.filters).ok()?);
        let both = format!("pads {top} above and {bottom} below, {left} left and {right} right, as TensorFlow does");
        let uneven = (top, left) != (bottom, right);
        uneven.then(|| format!("padding = \"same\" {both}; PyTorch's padding = {bottom} is the same on all sides"))
    }

    pub fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let Window { conv, kernel, filters, .. } = *self;
        let [h, w, c] = image(&onnx.shapes)?;
        let pads = self.pads(conv.sizes([1, h, w, c], kernel, filters)?);
        let mut attributes = vec![
            ("kernel_shape", Attribute::Ints(kernel.into())),
            ("strides", Attribute::Ints(conv.stride.into())),
            ("pads", Attribute::Ints(pads.into())),
        ];
        if conv.dilation != [1, 1] {
            attributes.push(("dilations", Attribute::Ints(conv.dilation.into())));
        }
        if conv.groups != 1 {
            attributes.push(("group", Attribute::Int(conv.groups as i64)));
        }
        onnx.whole("Conv", &attributes);
        Ok(())
    }
}
