//! The output at the first place of a sequence.

use super::*;
use crate::ops;
use crate::ops::shape::reshape::Reshape;

layer! {
    /// The result at the first place of a sequence: [places, features] to `[features]`. There a vision transformer has its class
    /// token, and BERT its `[CLS]`.
    First "first"
    needs {}
    takes {}
}

impl Layer for First {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [_, features] = sequence(inputs)?;
        Ok(Inferred::of([features]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let &[batch, columns] = at.shape else { return Err(Error::failed("features are [batch, features]")) };
        let elements = graph.info(at.x[0]).elements() / batch.max(1);
        let flat = graph.apply(Reshape { shape: Shape::from([batch, elements]) }, at.x)?[0];
        Ok(graph.apply(ops::shape::slice::Slice { offset: 0, columns }, &[flat])?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let (input, features) = (onnx.inputs[0].clone(), onnx.shapes[0][1] as i64);
        let [first, last, axis] =
            [("_first", 0), ("_last", 1), ("_axis", 1)].map(|(name, value)| onnx.ints(name, vec![value]));
        let row = onnx.node("_row", "Slice", &[&input, &first, &last, &axis], &[]);
        onnx.reshape("", &row, &[0, features]);
        Ok(())
    }
}
