//! The mean of each window.

use super::*;
use crate::model::layers::keys::PAIR;
use crate::model::layers::onnx::Attribute;
use crate::ops;
use crate::ops::conv::geometry::{Geometry, Padding};

layer! {
    /// The mean of each window: [H, W, C] to [OH, OW, C], without padding.
    AvgPool2d "avg_pool2d"
    needs {
        /// Rows and columns of the window.
        size: [usize; 2] => PAIR,
    }
    takes {
        /// Rows and columns from one window to the next; by default windows stand side by side.
        stride: [usize; 2] = size => PAIR,
    }
}

impl Layer for AvgPool2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [h, w, c] = image(inputs)?;
        let g = Geometry::new([1, h, w, c], self.size, c, self.stride, Padding::Valid)?;
        Ok(Inferred::of([g.oh, g.ow, c]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let AvgPool2d { size, stride } = *self;
        Ok(graph.apply(ops::pool::avg_pool2d::AvgPool2d { size, stride }, at.x)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let [size, stride] = [self.size, self.stride].map(|sizes| Attribute::Ints(sizes.into()));
        onnx.whole("AveragePool", &[("kernel_shape", size), ("strides", stride)]);
        Ok(())
    }

    fn window(&self) -> Option<[usize; 2]> {
        Some(self.size)
    }
}
