//! The output at the last token of a text.

use super::*;
use crate::model::layers::onnx::Attribute;
use crate::ops::sequence::select_last::SelectLast;

layer! {
    /// The result at the last place of a sequence: [places, features] to `[features]`. Places that only fill a text up are left out.
    Last "last"
    needs {}
    takes {}
}

impl Layer for Last {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [_, features] = sequence(inputs)?;
        Ok(Inferred::of([features]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        Ok(graph.apply(SelectLast, &at.with_lengths())?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let x = onnx.inputs[0].clone();
        let mask = onnx.mask("Equal");
        let masked = onnx.node("_masked", "Mul", &[&x, &mask], &[]);
        let axis = onnx.ints("_axis", vec![1]);
        onnx.node("", "ReduceSum", &[&masked, &axis], &[("keepdims", Attribute::Int(0))]);
        Ok(())
    }
}
