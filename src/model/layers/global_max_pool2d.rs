//! The largest value of each channel in the whole image.

use super::*;
use crate::model::layers::onnx::Attribute;
use crate::ops::pool::max_pool2d::MaxPool2d;
use crate::ops::shape::reshape::Reshape;

layer! {
    /// The largest value of each channel in the whole image: [H, W, C] to `[C]` features.
    GlobalMaxPool2d "global_max_pool2d"
    needs {}
    takes {}
}

impl Layer for GlobalMaxPool2d {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [_, _, channels] = image(inputs)?;
        Ok(Inferred::of([channels]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let size = [1, 2].map(|axis| graph.shape(at.x[0]).get(axis).copied().unwrap_or(1));
        let pooled = graph.apply(MaxPool2d { size, stride: [1, 1] }, at.x)?[0];
        Ok(graph.apply(Reshape { shape: Shape(at.shape.into()) }, &[pooled])?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let pooled = onnx.node("_pooled", "GlobalMaxPool", &[&onnx.inputs[0].clone()], &[]);
        onnx.node("", "Flatten", &[&pooled], &[("axis", Attribute::Int(1))]);
        Ok(())
    }
}
