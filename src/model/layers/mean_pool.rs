//! The mean over the tokens of a text.

use super::*;
use crate::model::layers::onnx::Attribute;
use crate::ops::sequence::masked_mean::MaskedMean;

layer! {
    /// The mean over the places of a sequence: [places, features] to `[features]`. Places that only fill a text up are left out.
    MeanPool "mean_pool"
    needs {}
    takes {}
}

impl Layer for MeanPool {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [_, features] = sequence(inputs)?;
        Ok(Inferred::of([features]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        Ok(graph.apply(MaskedMean, &at.with_lengths())?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let x = onnx.inputs[0].clone();
        let mask = onnx.mask("Less");
        let masked = onnx.node("_masked", "Mul", &[&x, &mask], &[]);
        let axis = onnx.ints("_axis", vec![1]);
        let sum = onnx.node("_sum", "ReduceSum", &[&masked, &axis], &[("keepdims", Attribute::Int(0))]);
        let count = onnx.node("_count", "ReduceSum", &[&mask, &axis], &[("keepdims", Attribute::Int(0))]);
        let one = onnx.floats("_one", &[1], vec![1.0]);
        let count = onnx.node("_divisor", "Max", &[&count, &one], &[]);
        onnx.node("", "Div", &[&sum, &count], &[]);
        Ok(())
    }
}
