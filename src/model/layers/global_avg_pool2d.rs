//! The mean of each channel over the whole image.

use super::*;
use crate::model::layers::onnx::Attribute;
use crate::ops::pool::avg_pool2d::AvgPool2d;
use crate::ops::shape::reshape::Reshape;

layer! {
    /// The mean of each channel over the whole image: [H, W, C] to `[C]` features.
    GlobalAvgPool2d "global_avg_pool2d"
    needs {}
    takes {}
}

impl Layer for GlobalAvgPool2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [_, _, channels] = image(inputs)?;
        Ok(Inferred::of([channels]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let size = [1, 2].map(|axis| graph.shape(at.x[0]).get(axis).copied().unwrap_or(1));
        let pooled = graph.apply(AvgPool2d { size, stride: [1, 1] }, at.x)?[0];
        Ok(graph.apply(Reshape { shape: Shape(at.shape.into()) }, &[pooled])?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let pooled = onnx.node("_pooled", "GlobalAveragePool", &[&onnx.inputs[0].clone()], &[]);
        onnx.node("", "Flatten", &[&pooled], &[("axis", Attribute::Int(1))]);
        Ok(())
    }
}
