//! Attention of one sequence over another.

use super::*;
use crate::model::layers::keys::{Field, Kind};
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::ParamSpec;
use crate::ops::matmul::matmul_nt::MatmulNt;
use crate::ops::sequence::attend::Attend;

/// How well a place of the one sequence goes with one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// `q·k`.
    Dot,
    /// `(W q)·k`.
    General,
}

impl Field for Score {
    type Given = Score;

    fn value(self) -> Value {
        Value::Choice(match self {
            Score::Dot => "dot",
            Score::General => "general",
        })
    }

    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Choice("dot") => Some(Score::Dot),
            Value::Choice("general") => Some(Score::General),
            _ => None,
        }
    }
}

layer! {
    /// For each place of the result before it, the mean of the places of an earlier result, weighted by the softmax of how well they go
    /// with it (Luong, Pham and Manning, 2015): [places, features] and [others, size] to [places, size]. Places that only fill
    /// a text up are left out.
    Attention "attention"
    needs {}
    takes {
        /// How well two places go together: dot, or general with a weight between them.
        score: Score = Score::Dot => Key::new(Kind::Choice(&["dot", "general"])),
    }
}

impl Layer for Attention {
    keyed!();

    fn joins(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let (&[places, features], &[_, size]) = (inputs[0], inputs[1]) else {
            let found = format!("found {:?} and {:?}", inputs[0], inputs[1]);
            return Err(format!("{found}, expected two sequences [places, features], as recurrences give"));
        };
        if inputs.len() > 2 {
            return Err(format!("found {} results in `from`, expected one to look at", inputs.len() - 1));
        }
        let params = match self.score {
            Score::Dot if features != size => {
                let expected = "expected as many of both, or score = \"general\"";
                return Err(format!("found {features} features before it and {size} of `from`, {expected}"));
            }
            Score::Dot => Vec::new(),
            // A dense layer without a bias.
            Score::General => vec![ParamSpec::drawn(vec![size, features], [features, size])],
        };
        Ok(Inferred { shape: vec![places, size], params })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        Ok(self.build_whole(graph, at)?.result)
    }

    fn build_whole(&self, graph: &mut Graph, at: &Inputs) -> Result<Built> {
        let &[query, memory] = at.x else {
            return Err(Error::failed("an attention reads two results"));
        };
        let query = match at.params {
            [] => query,
            [weight, ..] => graph.apply(MatmulNt::default(), &[query, *weight])?[0],
        };
        let lengths = at.lengths.get(1).copied().flatten();
        let attend = Attend { keys: memory, values: memory, lengths, scaled: false, causal: false };
        let [result, weights] = attend.build(graph, query)?;
        Ok(Built { weights: Some(weights), ..Built::from(result) })
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let (query, memory) = (onnx.inputs[0].clone(), onnx.inputs[1].clone());
        let turned = |onnx: &mut Onnx, suffix: &str, x: &str, perm: [usize; 3]| {
            onnx.node(suffix, "Transpose", &[x], &[("perm", Attribute::Ints(perm.to_vec()))])
        };
        let query = match onnx.params.first().cloned() {
            None => query,
            Some(weight) => {
                let weight = onnx.node("_turned", "Transpose", &[&weight], &[("perm", Attribute::Ints(vec![1, 0]))]);
                onnx.node("_query", "MatMul", &[&query, &weight], &[])
            }
        };
        let keys = turned(onnx, "_keys", &memory, [0, 2, 1]);
        let scores = onnx.node("_scores", "MatMul", &[&query, &keys], &[]);
        let softmax = [("axis", Attribute::Int(2))];
        let weights = match onnx.lengths_of(1) {
            None => onnx.node("_weights", "Softmax", &[&scores], &softmax),
            Some(lengths) => {
                // [N, 1, places looked at]
                let places = onnx.shapes[1][0] as i64;
                let range = onnx.ints("_places", (0..places).collect());
                let column = onnx.reshape("_column", &lengths, &[-1, 1, 1]);
                let valid = onnx.node("_valid", "Less", &[&range, &column], &[]);
                let least = onnx.floats("_least", &[1], vec![f32::MIN]);
                let seen = onnx.node("_seen", "Where", &[&valid, &scores, &least], &[]);
                let all = onnx.node("_all", "Softmax", &[&seen], &softmax);
                // A text without tokens gives zeros.
                let zero = onnx.floats("_zero", &[1], vec![0.0]);
                onnx.node("_weights", "Where", &[&valid, &all, &zero], &[])
            }
        };
        onnx.node("", "MatMul", &[&weights, &memory], &[]);
        Ok(())
    }
}
