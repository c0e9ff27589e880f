//! A small graph with its inputs, and PyTorch's values for some of its tensors with the tolerance of each.

use crate::forms::{Form, usual};
use std::fmt::Write;
use wgrad::ir::graph::{Graph, Layout, Tensor, TensorInfo};
use wgrad::ir::launch::Lower;
use wgrad::ir::op::{Backward, In, Op, Out, Real, Reference, Rounding};
use wgrad::ir::values::Values;
use wgrad::model::formats::weights::to_memory;
use wgrad::verify::compare::{Deviation, deviation, magnitudes};

/// The unit roundoff of single precision.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// The end of a graph whose results have given gradients: the arguments are results and their gradients by
/// turns, and going back from it hands the gradients over. It computes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Upstream;

impl Reference for Upstream {
    fn reference<F: Real>(&self, _: &[In<F>], _: &mut [Out<F>]) {}
}

impl Op for Upstream {
    fn name(&self) -> &'static str {
        "upstream"
    }

    fn outputs(&self, x: &[&TensorInfo]) -> Result<Vec<TensorInfo>, String> {
        match x.chunks(2).all(|pair| pair[0].shape == pair[1].shape) {
            true => Ok(vec![TensorInfo::floats("upstream", [1])]),
            false => Err("a gradient has the sizes of its result".into()),
        }
    }

    fn backward(&self, _: &mut Graph, at: &Backward) -> wgrad::Result<Vec<Option<Tensor>>> {
        Ok(at.x.chunks(2).flat_map(|pair| [Some(pair[1]), None]).collect())
    }

    fn lower(&self, _: &mut Lower) -> wgrad::Result<()> {
        Ok(())
    }

    fn rounding(&self, _: &[&TensorInfo]) -> Rounding {
        Rounding::EXACT
    }
}

/// A tensor as PyTorch has it: its sizes and its elements.
pub type Array = (Vec<usize>, Vec<f32>);

/// A tensor and what PyTorch says of it.
struct Want {
    name: String,
    tensor: Tensor,
    values: Vec<f64>,
    /// By how much storing may have rounded each.
    stored: Vec<f64>,
}

/// A graph, its inputs and what is wanted of it.
#[derive(Default)]
pub struct Net {
    pub graph: Graph,
    contents: Vec<(Tensor, Values)>,
    wants: Vec<Want>,
}

/// Images lie as N, H, W, C here and as N, C, H, W there; all else is alike.
pub fn layout(shape: &[usize]) -> Layout {
    let perm = if shape.len() == 4 { vec![0, 2, 3, 1] } else { (0..shape.len()).collect() };
    Layout { file_shape: shape.to_vec(), perm }
}

impl Net {
    /// Adds an input with PyTorch's shape and values.
    pub fn input(&mut self, name: &str, (shape, values): &Array) -> Tensor {
        let layout = layout(shape);
        let sizes = layout.perm.iter().map(|&axis| shape[axis]).collect();
        let tensor = self.graph.tensor(TensorInfo::floats(name, wgrad::ir::graph::Shape(sizes)));
        self.contents.push((tensor, Values::Float(to_memory(&layout, values).unwrap())));
        tensor
    }

    /// Adds an input of words.
    pub fn words(&mut self, name: &str, values: Vec<u32>) -> Tensor {
        let tensor = self.graph.tensor(TensorInfo::words(name, [values.len()]));
        self.contents.push((tensor, Values::Word(values)));
        tensor
    }

    /// Fills a parameter, from the order of the weight file.
    pub fn fill(&mut self, param: usize, (shape, values): &Array) {
        let param = &self.graph.params[param];
        assert_eq!(*shape, param.file_shape.0, "{}", param.name);
        self.contents.push((param.tensor, Values::Float(to_memory(&param.layout, values).unwrap())));
    }

    /// Says what a tensor should be: the stored values times `scale`.
    pub fn want(&mut self, name: &str, tensor: Tensor, (shape, values): &Array, scale: f64) {
        let own = self.graph.params.iter().find(|param| param.grad == Some(tensor));
        let layout = own.map_or_else(|| layout(shape), |param| param.layout.clone());
        let values = to_memory(&layout, values).unwrap();
        let half_ulp = |v: f32| f64::from(v.abs().next_up() - v.abs()) / 2.0;
        let stored = values.iter().map(|&v| half_ulp(v) * scale).collect();
        let values = values.iter().map(|&v| f64::from(v) * scale).collect();
        self.wants.push(Want { name: name.into(), tensor, values, stored });
    }

    /// Says what a tensor should be, in its own order and without the rounding of a store.
    pub fn want_exactly(&mut self, name: &str, tensor: Tensor, values: Vec<f64>) {
        let stored = vec![0.0; values.len()];
        self.wants.push(Want { name: name.into(), tensor, values, stored });
    }

    /// Adds the gradients of `roots` and of every parameter, given those of some results.
    pub fn backward(&mut self, results: &[(Tensor, Tensor)], roots: &[Tensor]) -> Vec<Tensor> {
        let arguments: Vec<Tensor> = results.iter().flat_map(|&(y, dy)| [y, dy]).collect();
        let end = self.graph.apply(Upstream, &arguments).unwrap()[0];
        let params = self.graph.params.iter().map(|param| param.tensor);
        let roots: Vec<Tensor> = roots.iter().copied().chain(params).collect();
        let grads: Vec<Tensor> = self.graph.gradients(end, &roots).unwrap().into_iter().map(Option::unwrap).collect();
        let first = roots.len() - self.graph.params.len();
        for (param, grad) in self.graph.params.iter_mut().zip(&grads[first..]) {
            param.grad = Some(*grad);
        }
        grads
    }

    /// Runs it in every form and holds each to PyTorch; gives the worst error of each form.
    pub fn check(&self, label: &str) -> Vec<Deviation> {
        let (sizes, bounds) = self.sizes();
        let wanted: Vec<Tensor> = self.wants.iter().map(|want| want.tensor).collect();
        let mut wrong = String::new();
        let one = |form: &Form| {
            let results = form.run(&self.graph, &self.contents, &wanted, 1, false);
            let mut worst = Deviation::NONE;
            for (want, got) in self.wants.iter().zip(results) {
                let at = want.tensor.index();
                let found = match form {
                    Form::Oracle => want.held_to(&got),
                    // One unit more: the store has rounded, too.
                    _ => deviation(
                        &got.convert(),
                        &Values::Float(want.values.clone()),
                        &sizes[at],
                        Rounding { terms: 0, ulps: bounds[at] + 1.0 },
                        0..0,
                    ),
                };
                worst = worst.worse(found);
                if !found.passed {
                    writeln!(wrong, "{label} {} ({form}): {:e} of {:e}", want.name, found.error, found.tolerance)
                        .unwrap();
                }
            }
            worst
        };
        let worst = usual().map(one).collect();
        assert!(wrong.is_empty(), "{wrong}");
        worst
    }

    /// For every tensor its magnitudes, and how far single precision may stray in units of them: the op's own
    /// rounding and what its arguments have strayed, which sums of products hand on whole.
    fn sizes(&self) -> (Vec<Values<f64>>, Vec<f64>) {
        let graph = &self.graph;
        let touched: Vec<Tensor> = graph.nodes.iter().flat_map(|node| node.x.iter().chain(&node.y)).copied().collect();
        let mut sizes = vec![Values::Float(Vec::new()); graph.tensors.len()];
        let values = Form::Oracle.run(graph, &self.contents, &touched, 1, false);
        touched.iter().zip(values).for_each(|(t, values)| sizes[t.index()] = values);
        let mut bounds = vec![0.0; graph.tensors.len()];
        for node in graph.nodes.iter().filter(|node| node.op.name() != Upstream.name()) {
            let infos: Vec<&TensorInfo> = node.x.iter().map(|&x| graph.info(x)).collect();
            let own = node.op.rounding(&infos).tolerance(1.0) / UNIT;
            let bound = own + node.x.iter().map(|x| bounds[x.index()]).sum::<f64>();
            let found = match node.op.is_view() {
                true => vec![sizes[node.x[0].index()].clone()],
                false => magnitudes(graph, node, &sizes),
            };
            for (y, size) in node.y.iter().zip(found) {
                // Words, such as an argmax, stay the oracle's.
                if let Values::Float(_) = size {
                    sizes[y.index()] = size;
                }
                bounds[y.index()] = bound;
            }
        }
        (sizes, bounds)
    }
}

impl Want {
    /// The oracle's result against the stored value, which the store alone may have rounded.
    fn held_to(&self, got: &Values<f64>) -> Deviation {
        let Values::Float(got) = got else { panic!("{} holds no floats", self.name) };
        assert_eq!(got.len(), self.values.len(), "{}", self.name);
        let each = got.iter().zip(&self.values).zip(&self.stored).map(|((got, want), stored)| {
            let (error, tolerance) = ((got - want).abs(), stored + 1e-12);
            Deviation { error, tolerance, passed: error <= tolerance }
        });
        each.fold(Deviation::NONE, Deviation::worse)
    }
}
