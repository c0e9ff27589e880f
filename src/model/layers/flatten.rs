//! From an image to features, channel by channel.

use super::*;
use crate::model::layers::onnx::Attribute;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::transpose::Transpose;

layer! {
    /// [H, W, C] to [C·H·W] features in the order C, H, W; features stay as they are.
    Flatten "flatten"
    needs {}
    takes {}
}

impl Layer for Flatten {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        Ok(Inferred::of([inputs[0].iter().product()]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let shape = Shape(at.shape.into());
        match *graph.shape(at.x[0]) {
            [n, h, w, columns] if h * w > 1 && columns > 1 => {
                Ok(graph.apply(Transpose { n, rows: h * w, columns, shape }, at.x)?[0])
            }
            [_, _] => Ok(at.x[0]),
            _ => Ok(graph.apply(Reshape { shape }, at.x)?[0]),
        }
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        // N, C, H, W: the features come out in the order C, H, W, as they do here.
        onnx.whole("Flatten", &[("axis", Attribute::Int(1))]);
        Ok(())
    }
}
