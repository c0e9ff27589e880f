//! The places of an image as a sequence.

use super::*;
use crate::ir::graph::TensorInfo;
use crate::ir::values::Values;
use crate::model::layers::keys::Kind;
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::ParamSpec;
use crate::model::layers::positions::{POSITIONS, SMALL};
use crate::ops;
use crate::ops::sequence::embedding::Embedding as Rows;
use crate::ops::shape::reshape::Reshape;

layer! {
    /// The places of an image as a sequence, row after row: [height, width, channels] to [height · width, channels], as a vision transformer
    /// reads its patches (Dosovitskiy and others, 2020).
    Tokens "tokens"
    needs {}
    takes {
        /// What is added at each place, so that layers without an order of their own know it.
        positions: Positions = Positions::None => POSITIONS,
        /// Whether a place that is learnt comes before all others: what a net gives there (`first`) tells the class.
        class_token: bool = false => Key::new(Kind::Flag).omitted(),
    }
}

/// The parameter of a class token.
const CLASS_TOKEN: &str = "class_token";

impl Layer for Tokens {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [height, width, channels] = image(inputs)?;
        let places = height * width + usize::from(self.class_token);
        let class = || ParamSpec::drawn(vec![1, channels], [1, channels]).spread(CLASS_TOKEN, SMALL);
        let params = self.class_token.then(class).into_iter().chain(self.positions.params(places, channels)).collect();
        Ok(Inferred { shape: vec![places, channels], params })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let &[batch, places, channels] = at.shape else { return Err(Error::failed("a sequence has places")) };
        let shape = Shape(at.shape.to_vec());
        let tokens = match at.params.first().filter(|_| self.class_token) {
            None => graph.apply(Reshape { shape }, at.x)?[0],
            Some(&class) => {
                // The same row for each image.
                let info = TensorInfo::words("class tokens", [batch]);
                let rows = graph.constant(info, || Values::Word(vec![0; batch]));
                let class = graph.apply(Rows, &[rows, class])?[0];
                let flat = Reshape { shape: Shape::from([batch, (places - 1) * channels]) };
                let others = graph.apply(flat, at.x)?[0];
                let all = graph.apply(ops::shape::concat::Concat, &[class, others])?[0];
                graph.apply(Reshape { shape }, &[all])?[0]
            }
        };
        self.positions.build(graph, at, tokens, (places, at.params.get(usize::from(self.class_token)).copied()))
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let (input, channels) = (onnx.inputs[0].clone(), onnx.shapes[0][2]);
        let (class, rows) = match self.class_token {
            true => (onnx.params.first().cloned(), onnx.params.get(1).cloned()),
            false => (None, onnx.params.first().cloned()),
        };
        let places = onnx.shapes[0][0] * onnx.shapes[0][1] + usize::from(self.class_token);
        let ends = self.positions == Positions::None;
        let flat = onnx.reshape("_flat", &input, &[0, channels as i64, -1]);
        let suffix = if ends && class.is_none() { "" } else { "_places" };
        let mut last = onnx.node(suffix, "Transpose", &[&flat], &[("perm", Attribute::Ints(vec![0, 2, 1]))]);
        if let Some(class) = class {
            // As many rows as there are images: each place times zero, of the first place alone, and the row.
            let [first, end, axis] =
                [("_first", 0), ("_end", 1), ("_axis", 1)].map(|(name, value)| onnx.ints(name, vec![value]));
            let one = onnx.node("_one", "Slice", &[&last, &first, &end, &axis], &[]);
            let none = onnx.floats("_none", &[], vec![0.0]);
            let zeros = onnx.node("_zeros", "Mul", &[&one, &none], &[]);
            let row = onnx.node("_class", "Add", &[&zeros, &class], &[]);
            let suffix = if ends { "" } else { "_tokens" };
            last = onnx.node(suffix, "Concat", &[&row, &last], &[("axis", Attribute::Int(1))]);
        }
        self.positions.onnx(onnx, &last, [places, places, channels], rows.as_ref());
        Ok(())
    }
}
