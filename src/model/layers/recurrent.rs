//! Code shared by the recurrent layers: their parameters under PyTorch's names, and how they are stacked.

use super::*;
use crate::ir::graph::{Role, TensorInfo};
use crate::model::Mode;
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::{ParamSpec, Spread};
use crate::ops::matmul::matmul_nt::MatmulNt;
use crate::ops::pointwise::dropout::Dropout;
use crate::ops::sequence::cells::Cell;
use crate::ops::sequence::recurrence::Recurrence;
use crate::ops::shape::concat::Concat;
use std::fmt;

/// A stack of recurrences over a sequence [places, features].
pub(super) struct Recurrent {
    pub(super) cell: Cell,
    pub(super) units: usize,
    pub(super) layers: usize,
    pub(super) bidirectional: bool,
    pub(super) dropout: f32,
    pub(super) carry: bool,
}

impl Recurrent {
    fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }

    /// [places, features] to [places, directions · units]. Parameters are those of PyTorch, layer after layer and in each the
    /// forward direction first, all drawn evenly over ±1/√units.
    pub(super) fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let expected = "expected a sequence [places, features], as an embedding gives";
        let [places, mut features] = sizes(inputs).map_err(|found| format!("{found}, expected {expected}"))?;
        if self.carry && self.bidirectional {
            return Err("found carry = true and bidirectional = true: no state can come from the batch that follows; expected one of \
                        the two"
                .into());
        }
        let gates = self.cell.gates() * self.units;
        let bound = Spread::Uniform(1.0 / (self.units as f64).sqrt());
        let mut params = Vec::new();
        for layer in 0..self.layers {
            for direction in ["", "_reverse"].into_iter().take(self.directions()) {
                let fans = [features + self.units, gates];
                let weights = [("weight_ih", vec![gates, features]), ("weight_hh", vec![gates, self.units])];
                let named = |name: &str| format!("{name}_l{layer}{direction}");
                params.extend(weights.map(|(name, shape)| ParamSpec::drawn(shape, fans).spread(named(name), bound)));
                params
                    .extend(["bias_ih", "bias_hh"].map(|name| ParamSpec::bias(gates, fans).spread(named(name), bound)));
            }
            features = self.directions() * self.units;
        }
        Ok(Inferred { shape: vec![places, features], params })
    }

    /// The state from step to step: where a text is generated token by token, or read in order.
    fn states(&self, graph: &mut Graph, at: &Inputs, layer: usize) -> Result<Vec<Tensor>> {
        // Without a control block there are no steps.
        let reads_on = self.carry && at.build.control.is_some();
        if at.build.mode != Mode::Generation && !reads_on {
            return Ok(Vec::new());
        }
        if self.bidirectional {
            return Err(Error::input(
                "a bidirectional recurrent layer reads the following tokens, so it cannot continue a text",
            ));
        }
        let state = |n: usize| {
            let name = format!("{}.{}_l{layer}", at.index, ["h", "c"][n]);
            graph.tensor(TensorInfo::floats(name, [at.shape[0], self.units]).role(Role::State))
        };
        Ok((0..self.cell.states()).map(state).collect())
    }

    /// What it ends in: of both directions one after the other.
    pub(super) fn ends(&self) -> Option<States> {
        Some(States { cell: self.cell, layers: self.layers, units: self.directions() * self.units })
    }

    /// What it can begin with: one that goes both ways would need states at both ends.
    pub(super) fn begins(&self) -> Option<States> {
        (!self.bidirectional).then_some(States { cell: self.cell, layers: self.layers, units: self.units })
    }

    pub(super) fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Built> {
        let mut x = at.x[0];
        let lengths = at.lengths.first().copied().flatten();
        let each = self.cell.states();
        let mut params = at.params.chunks(4);
        let mut ends = Vec::new();
        for layer in 0..self.layers {
            if layer > 0 && self.dropout > 0.0 && at.build.mode == Mode::Training {
                // Places in the list of layers take the low bits.
                let salt = at.index as u32 ^ ((layer as u32) << 20);
                x = graph.apply(Dropout { rate: self.dropout, salt, each: 1 }, &[at.control()?, x])?[0];
            }
            let (mut results, mut last) = (Vec::new(), Vec::new());
            for reverse in [false, true].into_iter().take(self.directions()) {
                let Some(&[weight_ih, weight_hh, bias_ih, bias_hh]) = params.next() else {
                    return Err(Error::failed("a recurrence has four parameters for each layer and direction"));
                };
                let projected = graph.apply(MatmulNt::default(), &[x, weight_ih, bias_ih])?[0];
                let mut arguments = vec![projected, weight_hh, bias_hh];
                let carried = self.states(graph, at, layer)?;
                // In generation, what is carried begins as the states that are given.
                let given = at.states.get(layer * each..(layer + 1) * each).unwrap_or_default();
                let begin = if carried.is_empty() { given } else { &carried };
                arguments.extend(begin);
                arguments.extend(lengths);
                let (initial, lengths) = (!begin.is_empty(), lengths.is_some());
                let op = Recurrence { reverse, initial, lengths, ..Recurrence::new(self.cell) };
                let found = graph.apply(op, &arguments)?;
                results.push(found[0]);
                last.push(found[1..1 + each].to_vec());
                // After the state at each place come the last ones.
                graph.carried.extend(found[1..].iter().copied().zip(carried));
            }
            x = joined(graph, &results)?;
            for state in 0..if at.ends { each } else { 0 } {
                let both: Vec<Tensor> = last.iter().map(|last| last[state]).collect();
                ends.push(joined(graph, &both)?);
            }
        }
        Ok(Built { states: ends, ..Built::from(x) })
    }
}

/// Both directions of a recurrence, one after the other; or the one that there is.
fn joined(graph: &mut Graph, parts: &[Tensor]) -> Result<Tensor> {
    match parts {
        [only] => Ok(*only),
        _ => Ok(graph.apply(Concat, parts)?[0]),
    }
}

/// States that a recurrence ends in, or begins with: h of each of its layers, and of an LSTM c after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct States {
    /// The recurrence.
    pub cell: Cell,
    /// Recurrences on top of each other.
    pub layers: usize,
    /// Numbers of a state.
    pub units: usize,
}

impl fmt::Display for States {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let States { cell, layers, units } = self;
        let name = match cell {
            Cell::RnnTanh => "rnn with tanh",
            Cell::RnnRelu => "rnn with relu",
            Cell::Gru => "gru",
            Cell::Lstm => "lstm",
        };
        let plural = if *layers == 1 { "layer" } else { "layers" };
        write!(f, "{units} units and {layers} {plural} of a {name}")
    }
}

impl Recurrent {
    /// A node of ONNX for each layer, with PyTorch's gates in its order.
    pub(super) fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        // i, f, g, o become i, o, f, c; r, z, n become z, r, h.
        let (op, order): (_, &[usize]) = match self.cell {
            Cell::Lstm => ("LSTM", &[0, 3, 1, 2]),
            Cell::Gru => ("GRU", &[1, 0, 2]),
            Cell::RnnTanh | Cell::RnnRelu => ("RNN", &[0]),
        };
        let (units, directions) = (self.units as i64, self.directions());
        let place = |gate: usize| (0..units).map(move |unit| gate as i64 * units + unit);
        let order = onnx.ints("_order", order.iter().copied().flat_map(place).collect());
        let turned = |onnx: &mut Onnx, suffix: &str, x: &str, perm: &[usize]| {
            onnx.node(suffix, "Transpose", &[x], &[("perm", Attribute::Ints(perm.to_vec()))])
        };
        let lengths = onnx.lengths_of(0);
        let lengths = lengths.map(|lengths| onnx.node("_lengths", "Cast", &[&lengths], &[("to", Attribute::Int(6))]));
        let (mut x, params) = (onnx.inputs[0].clone(), onnx.params.clone());
        for (layer, params) in params.chunks(4 * directions).enumerate() {
            let mut of = [Vec::new(), Vec::new(), Vec::new()];
            for (direction, params) in params.chunks(4).enumerate() {
                let name = |what: &str| format!("_{what}{layer}_{direction}");
                let gates = |onnx: &mut Onnx, what: &str, param: &String| {
                    onnx.node(&name(what), "Gather", &[param, &order], &[])
                };
                let [w, r, b, c] =
                    [("w", 0), ("r", 1), ("b", 2), ("c", 3)].map(|(what, n)| gates(onnx, what, &params[n]));
                let both = onnx.node(&name("biases"), "Concat", &[&b, &c], &[("axis", Attribute::Int(0))]);
                let wide = self.cell.gates() as i64 * units;
                of[0].push(onnx.reshape(&name("w1"), &w, &[1, wide, -1]));
                of[1].push(onnx.reshape(&name("r1"), &r, &[1, wide, units]));
                of[2].push(onnx.reshape(&name("b1"), &both, &[1, -1]));
            }
            let all = |onnx: &mut Onnx, what: &str, parts: &[String]| match parts {
                [only] => only.clone(),
                _ => {
                    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                    onnx.node(&format!("_{what}{layer}"), "Concat", &parts, &[("axis", Attribute::Int(0))])
                }
            };
            let [w, r, b] = [("w", 0), ("r", 1), ("b", 2)].map(|(what, n)| all(onnx, what, &of[n]));
            // Places first, as the node reads them.
            let first = turned(onnx, &format!("_first{layer}"), &x, &[1, 0, 2]);
            let each = self.cell.states();
            let begin: Vec<String> = onnx.states.iter().skip(layer * each).take(each).cloned().collect();
            let begin: Vec<String> = begin
                .iter()
                .zip(["h", "c"])
                .map(|(state, name)| onnx.reshape(&format!("_begin_{name}{layer}"), state, &[1, -1, units]))
                .collect();
            let mut inputs = vec![&*first, &w, &r, &b];
            match begin.is_empty() {
                true => inputs.extend(lengths.as_deref()),
                false => inputs.push(lengths.as_deref().unwrap_or("")),
            }
            inputs.extend(begin.iter().map(String::as_str));
            let direction = if self.bidirectional { "bidirectional" } else { "forward" };
            let mut attributes =
                vec![("hidden_size", Attribute::Int(units)), ("direction", Attribute::Text(direction))];
            match self.cell {
                Cell::Gru => attributes.push(("linear_before_reset", Attribute::Int(1))),
                Cell::RnnRelu => attributes.push(("activations", Attribute::Texts(vec!["Relu"; directions]))),
                Cell::RnnTanh | Cell::Lstm => {}
            }
            let y = onnx.node(&format!("_y{layer}"), op, &inputs, &attributes);
            if onnx.ends.is_some() {
                let last: Vec<String> =
                    ["h", "c"].iter().take(each).map(|name| onnx.further(&format!("_last_{name}{layer}"))).collect();
                for (state, last) in last.iter().enumerate() {
                    // [directions, N, units]
                    let end = format!("_end{}_{layer}", ["_h", "_c"][state]);
                    let batch = onnx.node(
                        &format!("{end}_batch"),
                        "Transpose",
                        &[last],
                        &[("perm", Attribute::Ints(vec![1, 0, 2]))],
                    );
                    let end = onnx.reshape(&end, &batch, &[0, directions as i64 * units]);
                    onnx.ends.iter_mut().for_each(|ends| ends.push(end.clone()));
                }
            }
            // [places, directions, N, units]
            let batch = turned(onnx, &format!("_batch{layer}"), &y, &[2, 0, 1, 3]);
            let suffix = if layer + 1 == self.layers { String::new() } else { format!("_{layer}") };
            x = onnx.reshape(&suffix, &batch, &[0, 0, directions as i64 * units]);
        }
        Ok(())
    }
}

/// The line of a recurrence in words: `lstm 2 × 128`, `gru 64 both ways`.
pub(super) fn described(name: &str, recurrent: &Recurrent) -> String {
    let both = if recurrent.bidirectional { " both ways" } else { "" };
    let layers = if recurrent.layers > 1 { format!("{} × ", recurrent.layers) } else { String::new() };
    format!("{name} {layers}{}{both}", recurrent.units)
}
