//! max(x, 0).

use super::*;
use crate::ops;

layer! {
    /// max(x, 0), of any shape.
    Relu "relu"
    needs {}
    takes {}
}

impl Layer for Relu {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        Ok(Inferred::of(inputs[0]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        Ok(graph.apply(ops::pointwise::relu::Relu, at.x)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        onnx.whole("Relu", &[]);
        Ok(())
    }
}
