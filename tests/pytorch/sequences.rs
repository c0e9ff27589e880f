//! Recurrences of packed rows in both directions, and an embedding: forward and backward.

use crate::fixtures::bytes;
use crate::forms::{Form, usual};
use crate::net::{Array, Upstream};
use safetensors::{Dtype, SafeTensors};
use wgrad::ir::graph::{Graph, Shape, Tensor, TensorInfo};
use wgrad::ir::values::Values;
use wgrad::ops::matmul::matmul_nt::MatmulNt;
use wgrad::ops::sequence::cells::Cell;
use wgrad::ops::sequence::embedding::Embedding;
use wgrad::ops::sequence::recurrence::Recurrence;

/// The unit roundoff of single precision.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// A graph on stored tensors, and what is wanted of it.
struct Stored<'a> {
    tensors: &'a SafeTensors<'a>,
    at: String,
    graph: Graph,
    contents: Vec<(Tensor, Values)>,
    wanted: Vec<(String, Tensor, Vec<f32>)>,
}

impl<'a> Stored<'a> {
    fn new(tensors: &'a SafeTensors<'a>, at: &str) -> Self {
        Stored { tensors, at: at.into(), graph: Graph::new(), contents: Vec::new(), wanted: Vec::new() }
    }

    fn words(&self, name: &str) -> (Vec<usize>, Vec<u32>) {
        let view = self.tensors.tensor(&format!("{}/{name}", self.at)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!([Dtype::F32, Dtype::I32].contains(&view.dtype()));
        (view.shape().to_vec(), view.data().as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    fn floats(&self, name: &str) -> Array {
        let (shape, words) = self.words(name);
        (shape, words.into_iter().map(f32::from_bits).collect())
    }

    /// The part of a stored tensor that belongs to a direction: of h and c [2, B, H] a half, of y [B, T, 2·H] half of each row.
    fn half(&self, name: &str, direction: usize) -> Array {
        let (shape, values) = self.floats(name);
        let &[a, b, c] = &shape[..] else { panic!("{name}: {shape:?}") };
        match a {
            2 => (vec![b, c], values[direction * b * c..][..b * c].to_vec()),
            _ => {
                let rows = values.chunks(c).flat_map(|row| &row[direction * c / 2..][..c / 2]);
                (vec![a, b, c / 2], rows.copied().collect())
            }
        }
    }

    fn input(&mut self, name: &str, (shape, values): Array) -> Tensor {
        let tensor = self.graph.tensor(TensorInfo::floats(name, Shape(shape)));
        self.contents.push((tensor, Values::Float(values)));
        tensor
    }

    fn word_input(&mut self, name: &str) -> Tensor {
        let (shape, values) = self.words(name);
        let tensor = self.graph.tensor(TensorInfo::words(name, Shape(shape)));
        self.contents.push((tensor, Values::Word(values)));
        tensor
    }

    /// Adds the gradients of `roots`, whose stored ones are wanted, given those of results.
    fn backward(&mut self, results: &[(Tensor, Tensor)], roots: &[(String, Tensor, Vec<f32>)]) {
        let pairs: Vec<Tensor> = results.iter().flat_map(|&(y, dy)| [y, dy]).collect();
        let end = self.graph.apply(Upstream, &pairs).unwrap()[0];
        let of: Vec<Tensor> = roots.iter().map(|(_, root, _)| *root).collect();
        let grads = self.graph.gradients(end, &of).unwrap();
        let wanted = roots.iter().zip(grads).map(|((name, _, want), grad)| (name.clone(), grad.unwrap(), want.clone()));
        self.wanted.extend(wanted);
    }

    /// Holds every form to what PyTorch stored: the oracle but for the rounding of the store, and the others but for `ulps` units
    /// of the largest number of a tensor; a software adapter only where that is said.
    fn check(&self, ulps: f64, software: bool) {
        let wanted: Vec<Tensor> = self.wanted.iter().map(|(_, tensor, _)| *tensor).collect();
        for form in usual().filter(|form| software || !form.is_software()) {
            let results = form.run(&self.graph, &self.contents, &wanted, 1, false);
            for ((name, _, want), got) in self.wanted.iter().zip(results) {
                let Values::Float(got) = got else { panic!("{name} holds no floats") };
                assert_eq!(got.len(), want.len(), "{name}");
                let most = want.iter().fold(1.0, |most, v| f64::from(v.abs()).max(most));
                for (i, (got, &want)) in got.iter().zip(want).enumerate() {
                    let error = (got - f64::from(want)).abs();
                    let tolerance = match form {
                        Form::Oracle => UNIT * f64::from(want.abs()) + 1e-12,
                        _ => UNIT * ulps * most,
                    };
                    let at = &self.at;
                    assert!(
                        error <= tolerance,
                        "{at} {name}[{i}] ({form}): {got}, not {want}: {error:e} of {tolerance:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn recurrences_follow_pytorch() {
    let bytes = bytes("sequences.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let kinds = ["rnn_tanh", "rnn_relu", "gru", "lstm"];
    for (kind, cell) in kinds.into_iter().zip([Cell::RnnTanh, Cell::RnnRelu, Cell::Gru, Cell::Lstm]) {
        let mut stored = Stored::new(&tensors, &format!("recurrence/{kind}"));
        let (x, lengths) = (stored.floats("x"), stored.word_input("lengths"));
        let steps = x.0[1];
        let x = stored.input("x", x);
        let (mut results, mut roots) = (Vec::new(), vec![("dx".to_string(), x, stored.floats("dx").1)]);
        let mut rows = 0;
        for (direction, suffix) in ["", "_reverse"].into_iter().enumerate() {
            let [weight_ih, bias_ih, weight_hh, bias_hh] =
                ["weight_ih", "bias_ih", "weight_hh", "bias_hh"].map(|stem| {
                    let name = format!("{stem}_l0{suffix}");
                    let values = stored.floats(&name);
                    rows = rows.max(values.0[0]);
                    let tensor = stored.input(&name, values);
                    let gradient = format!("d{name}");
                    let want = stored.floats(&gradient).1;
                    roots.push((gradient, tensor, want));
                    tensor
                });
            let gx = stored.graph.apply(MatmulNt::default(), &[x, weight_ih, bias_ih]).unwrap()[0];
            let mut arguments = vec![gx, weight_hh, bias_hh];
            let states = ["h", "c"].into_iter().take(cell.states());
            for state in states.clone() {
                let first = stored.half(&format!("{state}0"), direction);
                let tensor = stored.input(state, first);
                arguments.push(tensor);
                let gradient = format!("d{state}0");
                let want = stored.half(&gradient, direction).1;
                roots.push((gradient, tensor, want));
            }
            arguments.push(lengths);
            let op = Recurrence { reverse: direction == 1, initial: true, lengths: true, ..Recurrence::new(cell) };
            let y = stored.graph.apply(op, &arguments).unwrap();
            for (name, &y) in ["y"].into_iter().chain(states).zip(&y) {
                let want = stored.half(name, direction).1;
                stored.wanted.push((format!("{name}{suffix}"), y, want));
                let dy = stored.half(&format!("d{name}"), direction);
                results.push((y, stored.input(&format!("d{name}"), dy)));
            }
        }
        stored.backward(&results, &roots);
        // The error of a step comes from a sum over the gates' rows, and propagates through all steps.
        // A software adapter compiles each kernel for a second and more; `tests/library/kernels.rs` runs the other cells on it.
        stored.check(steps as f64 * (40.0 + 6.0 * (rows as f64).sqrt()), cell == Cell::Lstm);
    }
}

#[test]
fn an_embedding_follows_pytorch() {
    let bytes = bytes("sequences.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut stored = Stored::new(&tensors, "embedding");
    let tokens = stored.word_input("tokens");
    let [w, y, dy, dw] = ["w", "y", "dy", "dw"].map(|name| stored.floats(name));
    let (places, w, dy) = (dy.1.len(), stored.input("w", w), stored.input("dy", dy));
    let result = stored.graph.apply(Embedding, &[tokens, w]).unwrap()[0];
    stored.wanted.push(("y".into(), result, y.1));
    stored.backward(&[(result, dy)], &[("dw".into(), w, dw.1)]);
    stored.check(2.0 + 6.0 * (places as f64).sqrt(), true);
}
