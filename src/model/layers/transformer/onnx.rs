//! A block of a transformer in ONNX, where a batch of sequences is [N, places, features].

use super::{Between, Norms, Transformer, Turns};
use crate::model::layers::Activation;
use crate::model::layers::onnx::{Attribute, Onnx};
use crate::model::layers::rms_norm::rms_norm;
use crate::ops::attention::rotary::{Rates, table};
use crate::ops::pointwise::activation::Function;
use std::vec::IntoIter;

/// A weight and its bias, if there is one.
type Pair = (String, Option<String>);

/// The arguments of an attention: which inputs of the layer ask and are looked at.
#[derive(Clone, Copy)]
struct Of {
    name: &'static str,
    memory: bool,
}

/// What remains of the parameters.
struct Params(IntoIter<String>);

impl Params {
    fn pair(&mut self, bias: bool) -> Pair {
        let weight = self.0.next().unwrap_or_default();
        (weight, if bias { self.0.next() } else { None })
    }
}

impl Transformer {
    /// Adds the nodes of a block.
    pub(super) fn nodes(&self, onnx: &mut Onnx) -> Result<(), String> {
        let (parts, each) = (self.parts(), self.norm_size());
        let mut others = onnx.params.clone();
        let norms = others.split_off(others.len().saturating_sub(parts * each));
        let (mut others, mut norms) = (Params(others.into_iter()), Params(norms.into_iter()));
        let mut x = onnx.inputs[0].clone();
        for part in 0..parts {
            let is_last = part + 1 == parts;
            let mut norm = |onnx: &mut Onnx, suffix: &str, x: &str| {
                let (weight, bias) = norms.pair(each == 2);
                if self.norm == Norms::Rms {
                    return rms_norm(onnx, suffix, [x, &weight], self.epsilon);
                }
                let inputs: Vec<&str> = [x, &weight].into_iter().chain(bias.as_deref()).collect();
                let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(self.epsilon as f32))];
                onnx.node(suffix, "LayerNormalization", &inputs, &attributes)
            };
            let from = if self.norm_first { norm(onnx, &format!("_norm{part}"), &x) } else { x.clone() };
            let found = match part {
                0 => self.attention(onnx, Of { name: "_self", memory: false }, &from, &mut others),
                1 if self.memory => self.attention(onnx, Of { name: "_other", memory: true }, &from, &mut others),
                _ => self.net_nodes(onnx, &from, &mut others),
            };
            let sum = if is_last && self.norm_first { String::new() } else { format!("_sum{part}") };
            x = onnx.node(&sum, "Add", &[&x, &found], &[]);
            if !self.norm_first {
                x = norm(onnx, &if is_last { String::new() } else { format!("_norm{part}") }, &x);
            }
        }
        Ok(())
    }

    fn net_nodes(&self, onnx: &mut Onnx, x: &str, params: &mut Params) -> String {
        let inner = product(onnx, "_inner", x, &params.pair(self.bias));
        let inner = match self.activation {
            Between::Relu => onnx.node("_relu", "Relu", &[&inner], &[]),
            Between::Gelu => Activation::new(Function::Gelu).nodes(onnx, &inner, "_gelu"),
            Between::GeluTanh => Activation::new(Function::GeluTanh).nodes(onnx, &inner, "_gelu"),
            Between::Swiglu => {
                let range = |onnx: &mut Onnx, what: &str, [start, end]: [usize; 2]| {
                    let start = onnx.ints(&format!("{what}_start"), vec![start as i64]);
                    let end = onnx.ints(&format!("{what}_end"), vec![end as i64]);
                    let axis = onnx.ints(&format!("{what}_axis"), vec![-1]);
                    onnx.node(what, "Slice", &[&inner, &start, &end, &axis], &[])
                };
                let gate = range(onnx, "_gate", [0, self.hidden]);
                let value = range(onnx, "_value", [self.hidden, 2 * self.hidden]);
                let gate = Activation::new(Function::Silu).nodes(onnx, &gate, "_silu");
                onnx.node("_gated", "Mul", &[&gate, &value], &[])
            }
        };
        product(onnx, "_net", &inner, &params.pair(self.bias))
    }

    fn attention(&self, onnx: &mut Onnx, of: Of, x: &str, params: &mut Params) -> String {
        let [places, features] = [onnx.shapes[0][0], onnx.shapes[0][1]];
        let keys = onnx.shapes[usize::from(of.memory)][0];
        let (size, pairs) = (self.head(features), self.kv_heads);
        let suffix = |what: &str| format!("{}_{what}", of.name);
        let (weight, bias) = params.pair(self.biases_qkv());
        let source = if of.memory { onnx.inputs[1].clone() } else { x.to_owned() };
        let mut first = 0;
        let [q, k, v] = [("q", x, self.heads), ("k", &source, pairs), ("v", &source, pairs)].map(|(what, x, heads)| {
            let range = [first, first + heads * size];
            first = range[1];
            let rows = |onnx: &mut Onnx, what: &str, param: &str| {
                let [start, end] = range.map(|at| at as i64);
                let start = onnx.ints(&format!("{what}_start"), vec![start]);
                let end = onnx.ints(&format!("{what}_end"), vec![end]);
                onnx.node(what, "Slice", &[param, &start, &end], &[])
            };
            let weight = rows(onnx, &suffix(&format!("{what}_weight")), &weight);
            let bias = bias.as_ref().map(|bias| rows(onnx, &suffix(&format!("{what}_bias")), bias));
            let found = product(onnx, &suffix(what), x, &(weight, bias));
            let apart = onnx.reshape(&suffix(&format!("{what}_apart")), &found, &[0, 0, heads as i64, size as i64]);
            let perm = [("perm", Attribute::Ints(vec![0, 2, 1, 3]))];
            let mut turned = onnx.node(&suffix(&format!("{what}_heads")), "Transpose", &[&apart], &perm);
            if self.positions == Turns::Rotary && !of.memory && what != "v" {
                turned = rotary(onnx, &suffix(&format!("{what}_rotary")), &turned, [places, size], self.rates());
            }
            self.shared(onnx, &suffix(what), &turned, heads)
        });
        let perm = [("perm", Attribute::Ints(vec![0, 1, 3, 2]))];
        let turned = onnx.node(&suffix("k_turned"), "Transpose", &[&k], &perm);
        let scores = onnx.node(&suffix("products"), "MatMul", &[&q, &turned], &[]);
        let scale = onnx.floats(&suffix("scale"), &[], vec![(1.0 / (size as f64).sqrt()) as f32]);
        let scores = onnx.node(&suffix("scores"), "Mul", &[&scores, &scale], &[]);
        let seen = self.seen(onnx, of, [places, keys]);
        let softmax = [("axis", Attribute::Int(3))];
        let weights = match &seen {
            None => onnx.node(&suffix("weights"), "Softmax", &[&scores], &softmax),
            Some(seen) => {
                let least = onnx.floats(&suffix("least"), &[1], vec![f32::MIN]);
                let scores = onnx.node(&suffix("seen_scores"), "Where", &[seen, &scores, &least], &[]);
                let all = onnx.node(&suffix("all"), "Softmax", &[&scores], &softmax);
                // A text without tokens gives zeros.
                let zero = onnx.floats(&suffix("zero"), &[1], vec![0.0]);
                onnx.node(&suffix("weights"), "Where", &[seen, &all, &zero], &[])
            }
        };
        let found = onnx.node(&suffix("sums"), "MatMul", &[&weights, &v], &[]);
        let perm = [("perm", Attribute::Ints(vec![0, 2, 1, 3]))];
        let found = onnx.node(&suffix("turned"), "Transpose", &[&found], &perm);
        let found = onnx.reshape(&suffix("joined"), &found, &[0, 0, features as i64]);
        product(onnx, &suffix("out"), &found, &params.pair(self.bias))
    }

    /// Heads of keys or values, each as often as heads of queries share it.
    fn shared(&self, onnx: &mut Onnx, suffix: &str, x: &str, heads: usize) -> String {
        let each = self.heads / heads;
        if each == 1 {
            return x.to_owned();
        }
        let axis = onnx.ints(&format!("{suffix}_axis"), vec![2]);
        let apart = onnx.node(&format!("{suffix}_one"), "Unsqueeze", &[x, &axis], &[]);
        let copies = vec![&*apart; each];
        let copies = onnx.node(&format!("{suffix}_copies"), "Concat", &copies, &[("axis", Attribute::Int(2))]);
        let (places, size) =
            (onnx.ints(&format!("{suffix}_from"), vec![3]), onnx.ints(&format!("{suffix}_to"), vec![5]));
        let shape = onnx.node(&format!("{suffix}_sizes"), "Shape", &[&copies], &[]);
        let tail = onnx.node(&format!("{suffix}_tail"), "Slice", &[&shape, &places, &size], &[]);
        let head = onnx.ints(&format!("{suffix}_head"), vec![0, self.heads as i64]);
        let whole = onnx.node(&format!("{suffix}_whole"), "Concat", &[&head, &tail], &[("axis", Attribute::Int(0))]);
        onnx.node(&format!("{suffix}_shared"), "Reshape", &[&copies, &whole], &[])
    }

    /// Which keys each query sees, [N or 1, 1, places or 1, keys]; none where each sees all.
    fn seen(&self, onnx: &mut Onnx, of: Of, [places, keys]: [usize; 2]) -> Option<String> {
        let suffix = |what: &str| format!("{}_{what}", of.name);
        let causal = self.causal && !of.memory;
        let lengths = onnx.lengths_of(usize::from(of.memory));
        if !causal && lengths.is_none() {
            return None;
        }
        let range = onnx.ints(&suffix("keys"), (0..keys as i64).collect());
        let past = causal.then(|| {
            let own = onnx.ints(&suffix("places"), (1..=places as i64).collect());
            let own = onnx.reshape(&suffix("column"), &own, &[-1, 1]);
            onnx.node(&suffix("past"), "Less", &[&range, &own], &[])
        });
        let valid = lengths.map(|lengths| {
            let ends = onnx.reshape(&suffix("ends"), &lengths, &[-1, 1, 1, 1]);
            onnx.node(&suffix("valid"), "Less", &[&range, &ends], &[])
        });
        match (past, valid) {
            (Some(past), Some(valid)) => Some(onnx.node(&suffix("seen"), "And", &[&valid, &past], &[])),
            (past, valid) => past.or(valid),
        }
    }
}

/// Heads [N, heads, places, size], turned by their places.
fn rotary(onnx: &mut Onnx, suffix: &str, x: &str, [places, size]: [usize; 2], rates: Rates) -> String {
    let (table, half) = (table(places, size, rates), size / 2);
    // Both halves of a head have the same cosines; the first takes the second's sine away.
    let rows = |of: &dyn Fn(&[f32]) -> Vec<f32>| table.chunks(size).flat_map(of).collect::<Vec<f32>>();
    let cosines = rows(&|row| row[..half].repeat(2));
    let sines = rows(&|row| row[half..].iter().map(|sine| -sine).chain(row[half..].iter().copied()).collect());
    let shape = [places, size];
    let cosines = onnx.floats(&format!("{suffix}_cosines"), &shape, cosines);
    let sines = onnx.floats(&format!("{suffix}_sines"), &shape, sines);
    let [zero, middle, end, axis] = [("zero", 0), ("middle", half as i64), ("end", size as i64), ("axis", 3)]
        .map(|(name, at)| onnx.ints(&format!("{suffix}_{name}"), vec![at]));
    let first = onnx.node(&format!("{suffix}_first"), "Slice", &[x, &zero, &middle, &axis], &[]);
    let second = onnx.node(&format!("{suffix}_second"), "Slice", &[x, &middle, &end, &axis], &[]);
    let axis = [("axis", Attribute::Int(3))];
    let swapped = onnx.node(&format!("{suffix}_swapped"), "Concat", &[&second, &first], &axis);
    let straight = onnx.node(&format!("{suffix}_straight"), "Mul", &[x, &cosines], &[]);
    let across = onnx.node(&format!("{suffix}_across"), "Mul", &[&swapped, &sines], &[]);
    onnx.node(suffix, "Add", &[&straight, &across], &[])
}

/// A product with a weight [outputs, inputs], and its bias.
fn product(onnx: &mut Onnx, suffix: &str, x: &str, (weight, bias): &Pair) -> String {
    let perm = [("perm", Attribute::Ints(vec![1, 0]))];
    let turned = onnx.node(&format!("{suffix}_turned_weight"), "Transpose", &[weight], &perm);
    let last = if bias.is_some() { format!("{suffix}_product") } else { suffix.into() };
    let found = onnx.node(&last, "MatMul", &[x, &turned], &[]);
    bias.as_ref().map_or(found.clone(), |bias| onnx.node(suffix, "Add", &[&found, bias], &[]))
}
