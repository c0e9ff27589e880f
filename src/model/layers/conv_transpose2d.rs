//! Transposed convolution.

use super::*;
use crate::model::layers::keys::{BIAS, PADDING, PAIR, SIZE};
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::weight_and_bias;
use crate::ops::conv::conv2d::Conv2d;
use crate::ops::conv::conv2d_dx::Conv2dDx;
use crate::ops::conv::geometry::Padding;
use crate::ops::pointwise::add_bias::AddBias;

layer! {
    /// Transposed convolution, a convolution's gradient with respect to its input: [H, W, C] to [OH, OW, filters],
    /// OH = (H - 1) · stride + kernel less its padding where that is a number, and H · stride where it is same. PyTorch's
    /// `ConvTranspose2d`.
    ConvTranspose2d "conv_transpose2d"
    needs {
        /// Channels of the result.
        filters: usize => SIZE,
        /// Rows and columns of the window.
        kernel: [usize; 2] => PAIR,
    }
    takes {
        /// Rows and columns of the result from one place of the input to the next.
        stride: [usize; 2] = [1, 1] => PAIR,
        /// The padding of the convolution, which this layer crops.
        padding: Padding = Padding::Valid => PADDING,
        /// Whether it has a bias.
        bias: bool = true => BIAS,
    }
}

impl Layer for ConvTranspose2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [h, w, c] = image(inputs)?;
        let ConvTranspose2d { filters, kernel: [kh, kw], stride: [sh, sw], padding, bias } = *self;
        let cropped = || format!("found padding that crops all of an input of {h} × {w}, expected less");
        let along = |axis, size, k, stride| padding.transposed(axis, size, k, stride).ok_or_else(cropped);
        let shape = vec![along(0, h, kh, sh)?, along(1, w, kw, sw)?, filters];
        let weight = vec![c, filters, kh, kw];
        check_elements("a result", &shape)?;
        check_weights(&weight)?;
        let fans = [c, filters].map(|channels| channels * kh * kw);
        Ok(Inferred { shape, params: weight_and_bias(weight, filters, fans, bias) })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let ConvTranspose2d { stride, padding, .. } = *self;
        let (conv, input) = (Conv2d::new(stride, padding), [at.shape[1], at.shape[2]]);
        let spread = graph.apply(Conv2dDx { conv, input, masked: false }, &[at.x[0], at.params[0]])?[0];
        match at.params.get(1) {
            Some(&bias) => Ok(graph.apply(AddBias::default(), &[spread, bias])?[0]),
            None => Ok(spread),
        }
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let ConvTranspose2d { kernel, stride, padding, .. } = *self;
        // What the result is cropped by, at the start and at the end, and what is added there instead.
        let crop = |axis: usize| match padding {
            Padding::Valid => [0; 3],
            Padding::Zeros(sides) => [sides[2 * axis], sides[2 * axis + 1], 0],
            Padding::Same => {
                let cropped = kernel[axis].saturating_sub(stride[axis]);
                [cropped / 2, cropped - cropped / 2, stride[axis].saturating_sub(kernel[axis])]
            }
        };
        let [[top, bottom, below], [left, right, beside]] = [0, 1].map(crop);
        let attributes = [
            ("kernel_shape", Attribute::Ints(kernel.into())),
            ("strides", Attribute::Ints(stride.into())),
            ("pads", Attribute::Ints(vec![top, left, bottom, right])),
            ("output_padding", Attribute::Ints(vec![below, beside])),
        ];
        onnx.whole("ConvTranspose", &attributes);
        Ok(())
    }

    fn window(&self) -> Option<[usize; 2]> {
        Some(self.kernel)
    }

    fn keras_weight(&self) -> KerasWeight {
        KerasWeight::InputsLast
    }
}
