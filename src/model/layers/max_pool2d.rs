//! The largest value of each window.

use super::*;
use crate::model::layers::keys::{CEIL, PADDING, PAIR};
use crate::ops;
use crate::ops::conv::geometry::Padding;
use crate::ops::pool::windows::Windows;

layer! {
    /// The largest value of each window: [H, W, C] to [OH, OW, C]. Padding is never the largest. PyTorch's `MaxPool2d`.
    MaxPool2d "max_pool2d"
    needs {
        /// Rows and columns of the window.
        size: [usize; 2] => PAIR,
    }
    takes {
        /// Rows and columns from one window to the next; by default windows stand side by side.
        stride: [usize; 2] = size => PAIR,
        /// The padding around the image.
        padding: Padding = Padding::Valid => PADDING.omitted(),
        /// Whether a last window that begins within the image and ends beyond it counts: PyTorch's `ceil_mode`.
        ceil: bool = false => CEIL,
    }
}

impl MaxPool2d {
    fn windows(&self) -> Windows {
        let MaxPool2d { size, stride, padding, ceil } = *self;
        Windows { size, stride, padding, ceil }
    }
}

impl Layer for MaxPool2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        pools::windows(inputs, self.windows())
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        Ok(graph.apply(ops::pool::max_pool2d::MaxPool2d(self.windows()), at.x)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        pools::windows_onnx(onnx, ("", "MaxPool"), self.windows(), &[])?;
        Ok(())
    }

    fn window(&self) -> Option<[usize; 2]> {
        Some(self.size)
    }
}
