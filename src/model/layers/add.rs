//! The sum of results: residual connections.

use super::*;
use crate::ops;

layer! {
    /// The sum of the result before and those of earlier layers, all of one shape: a residual connection.
    Add "add"
    needs {}
    takes {}
}

impl Layer for Add {
    keyed!();

    fn joins(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        match inputs.iter().find(|&&other| other != inputs[0]) {
            None => Ok(Inferred::of(inputs[0])),
            Some(other) => Err(format!("found {:?} and {other:?}, expected results of one shape", inputs[0])),
        }
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let add = |sum, &x: &Tensor| Ok(graph.apply(ops::pointwise::add::Add, &[sum, x])?[0]);
        at.x[1..].iter().try_fold(at.x[0], add)
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        onnx.each("Add", |onnx, at| onnx.inputs[at].clone());
        Ok(())
    }
}
