//! Attention of one sequence over another.

use super::*;
use crate::model::layers::keys::{Kind, words};
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::ParamSpec;
use crate::ops::matmul::matmul_nt::MatmulNt;
use crate::ops::sequence::additive_scores::AdditiveScores;
use crate::ops::sequence::attend::Attend;

/// How well a place of the one sequence goes with one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// `q·k`.
    Dot,
    /// `(W q)·k`.
    General,
    /// `v·tanh(W q + U k)`.
    Additive,
}

words!(Score { Dot = "dot", General = "general", Additive = "additive", });

layer! {
    /// For each place of the result before it, the mean of the places of an earlier result, weighted by the softmax of how well they go
    /// with it (Luong, Pham and Manning, 2015): [places, features] and [others, size] to [places, size]. Places that only fill
    /// a text up are left out.
    Attention "attention"
    needs {}
    takes {
        /// How well two places go together: dot, general with a weight between them, or additive by a small net.
        score: Score = Score::Dot => Key::new(Kind::Choice(Score::WORDS)),
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
            // As wide as the queries.
            Score::Additive => [("query", [features, features]), ("key", [features, size]), ("score", [1, features])]
                .into_iter()
                .map(|(name, [outputs, inputs])| ParamSpec {
                    name: format!("weight_{name}"),
                    ..ParamSpec::drawn(vec![outputs, inputs], [inputs, outputs])
                })
                .collect(),
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
        let lengths = at.lengths.get(1).copied().flatten();
        let attend = Attend { keys: memory, values: memory, lengths, scaled: false, causal: false };
        let mut product =
            |x: Tensor, weight: Tensor| Ok::<_, Error>(graph.apply(MatmulNt::default(), &[x, weight])?[0]);
        let [result, weights] = match *at.params {
            [of_query, of_key, of_score] => {
                let (query, keys) = (product(query, of_query)?, product(memory, of_key)?);
                let scores = graph.apply(AdditiveScores, &[query, keys, of_score])?[0];
                attend.weigh(graph, scores, 1.0)?
            }
            [weight] => {
                let query = product(query, weight)?;
                attend.build(graph, query)?
            }
            _ => attend.build(graph, query)?,
        };
        Ok(Built { weights: Some(weights), ..Built::from(result) })
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let (query, memory) = (onnx.inputs[0].clone(), onnx.inputs[1].clone());
        let turned = |onnx: &mut Onnx, suffix: &str, x: &str, perm: [usize; 3]| {
            onnx.node(suffix, "Transpose", &[x], &[("perm", Attribute::Ints(perm.to_vec()))])
        };
        let product = |onnx: &mut Onnx, suffix: &str, x: &str, weight: &str| {
            let name = format!("{suffix}_turned");
            let weight = onnx.node(&name, "Transpose", &[weight], &[("perm", Attribute::Ints(vec![1, 0]))]);
            onnx.node(suffix, "MatMul", &[x, &weight], &[])
        };
        let params = onnx.params.clone();
        let scores = match &params[..] {
            [of_query, of_key, of_score] => {
                let [query, keys] = [("_query", &query, of_query), ("_key", &memory, of_key)]
                    .map(|(suffix, x, weight)| product(onnx, suffix, x, weight));
                // [N, places, 1, width] and [N, 1, places looked at, width]
                let width = onnx.shapes[0][1] as i64;
                let query = onnx.reshape("_queries", &query, &[0, 0, 1, width]);
                let keys = onnx.reshape("_keys", &keys, &[0, 1, -1, width]);
                let both = onnx.node("_both", "Add", &[&query, &keys], &[]);
                let both = onnx.node("_tanh", "Tanh", &[&both], &[]);
                let scores = product(onnx, "_each", &both, of_score);
                let (places, others) = (onnx.shapes[0][0] as i64, onnx.shapes[1][0] as i64);
                onnx.reshape("_scores", &scores, &[0, places, others])
            }
            given => {
                let query = given.first().map_or(query.clone(), |weight| product(onnx, "_query", &query, weight));
                let keys = turned(onnx, "_keys", &memory, [0, 2, 1]);
                onnx.node("_scores", "MatMul", &[&query, &keys], &[])
            }
        };
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
