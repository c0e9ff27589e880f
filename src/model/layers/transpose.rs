//! Places and features of a sequence, swapped.

use super::*;
use crate::model::layers::onnx::Attribute;
use crate::ops;

layer! {
    /// Places become features and features places: [places, features] to [features, places], so that a dense layer mixes places
    /// (MLP-Mixer; Tolstikhin and others, 2021).
    Transpose "transpose"
    needs {}
    takes {}
}

impl Layer for Transpose {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [places, features] = sequence(inputs)?;
        Ok(Inferred::of([features, places]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        if at.lengths.iter().any(Option::is_some) {
            return Err(Error::input("found texts that are filled up, expected sequences that are all of one length"));
        }
        let &[n, columns, rows] = at.shape else { return Err(Error::failed("a sequence has places and features")) };
        let shape = Shape(at.shape.to_vec());
        Ok(graph.apply(ops::shape::transpose::Transpose { n, rows, columns, shape }, at.x)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        onnx.whole("Transpose", &[("perm", Attribute::Ints(vec![0, 2, 1]))]);
        Ok(())
    }
}
