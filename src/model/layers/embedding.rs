//! Tokens as rows of numbers.

use super::*;
use crate::model::layers::keys::{ABOVE_0, CONTEXT, Kind, SIZE, VOCABULARY};
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::{ParamSpec, Spread};
use crate::model::layers::positions::POSITIONS;
use crate::ops;

layer! {
    /// A row of numbers for each token: `[places]` to [places, size]. PyTorch's `Embedding`; what is no token gives zeros.
    Embedding "embedding"
    needs {
        /// Numbers of a row.
        size: usize => SIZE,
    }
    takes {
        /// Tokens of the vocabulary.
        tokens: usize = crate::model::formats::toml::TOKENS => VOCABULARY,
        /// What is added at each place, so that layers without an order of their own know it.
        positions: Positions = Positions::None => POSITIONS,
        /// Places that have positions.
        context: usize = 1 => CONTEXT,
        /// The standard deviation of the first rows: 1, as PyTorch draws them, and with positions 0.02, as GPT-2 does.
        deviation: f64 = if positions == Positions::None { 1.0 } else { 0.02 } => Key::new(Kind::Number(ABOVE_0)).omitted(),
    }
}

impl Layer for Embedding {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let [places] = sizes(inputs).map_err(|found| format!("{found}, expected tokens, [places]"))?;
        let Embedding { tokens, size, positions, context, deviation } = *self;
        if positions != Positions::None && places > context {
            return Err(format!("found {places} places, expected at most {context}, which have positions"));
        }
        let places_of = positions.params(context, size);
        let weight = ParamSpec::drawn(vec![tokens, size], [1, size]).spread("weight", Spread::Normal(deviation));
        Ok(Inferred { shape: vec![places, size], params: std::iter::once(weight).chain(places_of).collect() })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let rows = graph.apply(ops::sequence::embedding::Embedding, &[at.x[0], at.params[0]])?[0];
        self.positions.build(graph, at, rows, (self.context, at.params.get(1).copied()))
    }

    fn is_bounded(&self) -> bool {
        self.positions != Positions::None
    }

    fn keras_weight(&self) -> KerasWeight {
        KerasWeight::Rows
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let Embedding { size, positions, context, .. } = *self;
        let (tokens, weight) = (onnx.inputs[0].clone(), onnx.params[0].clone());
        let [least, most] =
            [("_least", 0), ("_most", self.tokens as i64 - 1)].map(|(name, x)| onnx.ints(name, vec![x]));
        // What is no token gives zeros: neither from the end of the weight, as negative places would, nor from beyond it.
        let above = onnx.node("_above", "Max", &[&tokens, &least], &[]);
        let known = onnx.node("_known", "Min", &[&above, &most], &[]);
        let same = onnx.node("_same", "Equal", &[&known, &tokens], &[]);
        let counts = onnx.node("_counts", "Cast", &[&same], &[("to", Attribute::Int(1))]);
        let mask = onnx.reshape("_mask", &counts, &[0, 0, 1]);
        let rows = onnx.node("_rows", "Gather", &[&weight, &known], &[]);
        let places = onnx.params.get(1).cloned();
        let last = if positions == Positions::None { "" } else { "_known_rows" };
        let rows = onnx.node(last, "Mul", &[&rows, &mask], &[]);
        positions.onnx(onnx, &rows, [onnx.shapes[0][0], context, size], places.as_ref());
        Ok(())
    }
}
