//! The places of an image as a sequence.

use super::*;
use crate::model::layers::onnx::Attribute;
use crate::model::layers::positions::POSITIONS;
use crate::ops::shape::reshape::Reshape;

layer! {
    /// The places of an image as a sequence, row after row: [height, width, channels] to [height · width, channels], as a vision transformer
    /// reads its patches (Dosovitskiy and others, 2020).
    Tokens "tokens"
    needs {}
    takes {
        /// What is added at each place, so that layers without an order of their own know it.
        positions: Positions = Positions::None => POSITIONS,
    }
}

impl Layer for Tokens {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [height, width, channels] = image(inputs)?;
        let places = height * width;
        let params = self.positions.params(places, channels).into_iter().collect();
        Ok(Inferred { shape: vec![places, channels], params })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let places = graph.apply(Reshape { shape: Shape(at.shape.to_vec()) }, at.x)?[0];
        self.positions.build(graph, at, places, (at.shape[1], at.params.first().copied()))
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let (input, places, channels) = (onnx.inputs[0].clone(), onnx.params.first().cloned(), onnx.shapes[0][2]);
        let flat = onnx.reshape("_flat", &input, &[0, channels as i64, -1]);
        let last = if self.positions == Positions::None { "" } else { "_places" };
        let turned = onnx.node(last, "Transpose", &[&flat], &[("perm", Attribute::Ints(vec![0, 2, 1]))]);
        let [height, width, _] = [0, 1, 2].map(|axis| onnx.shapes[0][axis]);
        self.positions.onnx(onnx, &turned, [height * width, height * width, channels], places.as_ref());
        Ok(())
    }
}
