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

/// A stack of recurrences over a sequence [places, features].
pub(super) struct Recurrent {
    pub(super) cell: Cell,
    pub(super) units: usize,
    pub(super) layers: usize,
    pub(super) bidirectional: bool,
    pub(super) dropout: f32,
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

    /// The state from step to step, when a text is generated token by token.
    fn states(&self, graph: &mut Graph, at: &Inputs, layer: usize) -> Result<Vec<Tensor>> {
        if at.build.mode != Mode::Generation {
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

    pub(super) fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let mut x = at.x[0];
        let mut params = at.params.chunks(4);
        for layer in 0..self.layers {
            if layer > 0 && self.dropout > 0.0 && at.build.mode == Mode::Training {
                // Places in the list of layers take the low bits.
                let salt = at.index as u32 ^ ((layer as u32) << 20);
                x = graph.apply(Dropout { rate: self.dropout, salt }, &[at.control()?, x])?[0];
            }
            let mut results = Vec::new();
            for reverse in [false, true].into_iter().take(self.directions()) {
                let Some(&[weight_ih, weight_hh, bias_ih, bias_hh]) = params.next() else {
                    return Err(Error::failed("a recurrence has four parameters for each layer and direction"));
                };
                let projected = graph.apply(MatmulNt::default(), &[x, weight_ih, bias_ih])?[0];
                let mut arguments = vec![projected, weight_hh, bias_hh];
                let states = self.states(graph, at, layer)?;
                arguments.extend(&states);
                arguments.extend(at.build.lengths);
                let (initial, lengths) = (!states.is_empty(), at.build.lengths.is_some());
                let op = Recurrence { reverse, initial, lengths, ..Recurrence::new(self.cell) };
                let found = graph.apply(op, &arguments)?;
                results.push(found[0]);
                // After the state at each place come the last ones.
                graph.carried.extend(found[1..].iter().copied().zip(states));
            }
            x = if let [only] = results[..] { only } else { graph.apply(Concat, &results)?[0] };
        }
        Ok(x)
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
        let lengths = onnx.lengths.clone();
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
            let mut inputs = vec![&*first, &w, &r, &b];
            inputs.extend(lengths.as_deref());
            let direction = if self.bidirectional { "bidirectional" } else { "forward" };
            let mut attributes =
                vec![("hidden_size", Attribute::Int(units)), ("direction", Attribute::Text(direction))];
            match self.cell {
                Cell::Gru => attributes.push(("linear_before_reset", Attribute::Int(1))),
                Cell::RnnRelu => attributes.push(("activations", Attribute::Texts(vec!["Relu"; directions]))),
                Cell::RnnTanh | Cell::Lstm => {}
            }
            let y = onnx.node(&format!("_y{layer}"), op, &inputs, &attributes);
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
