//! The largest value of each window.

use super::*;
use crate::model::layers::keys::PAIR;
use crate::ops;

layer! {
    /// The largest value of each window: [H, W, C] to [OH, OW, C], without padding.
    MaxPool2d "max_pool2d"
    needs {
        /// Rows and columns of the window.
        size: [usize; 2] => PAIR,
    }
    takes {
        /// Rows and columns from one window to the next; by default windows stand side by side.
        stride: [usize; 2] = size => PAIR,
    }
}

impl Layer for MaxPool2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        pools::windows(inputs, self.size, self.stride)
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let MaxPool2d { size, stride } = *self;
        Ok(graph.apply(ops::pool::max_pool2d::MaxPool2d { size, stride }, at.x)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        pools::windows_onnx(onnx, "MaxPool", self.size, self.stride);
        Ok(())
    }

    fn window(&self) -> Option<[usize; 2]> {
        Some(self.size)
    }
}
