//! The largest value of each channel in the whole image.

use super::*;
use crate::ops::pool::max_pool2d::MaxPool2d;
use crate::ops::pool::windows::Windows;

layer! {
    /// The largest value of each channel in the whole image: [H, W, C] to `[C]` features.
    GlobalMaxPool2d "global_max_pool2d"
    needs {}
    takes {}
}

impl Layer for GlobalMaxPool2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        pools::whole(inputs)
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        pools::build_whole(graph, at, |size| MaxPool2d(Windows::new(size, [1, 1])))
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        pools::whole_onnx(onnx, "GlobalMaxPool");
        Ok(())
    }
}
