//! The mean of each channel over the whole image.

use super::*;
use crate::ops::pool::avg_pool2d::AvgPool2d;

layer! {
    /// The mean of each channel over the whole image: [H, W, C] to `[C]` features.
    GlobalAvgPool2d "global_avg_pool2d"
    needs {}
    takes {}
}

impl Layer for GlobalAvgPool2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        pools::whole(inputs)
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        pools::build_whole(graph, at, |size| AvgPool2d::new(size, [1, 1]))
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        pools::whole_onnx(onnx, "GlobalAveragePool");
        Ok(())
    }
}
