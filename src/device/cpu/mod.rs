//! The native CPU: runs the graph op by op, in single precision for training, in double precision as the oracle.

pub mod native;

use crate::error::{Error, Result};
use crate::ir::graph::{DType, Graph, Tensor};
use crate::ir::op::{In, Out, Real};
use crate::ir::values::Values;
use std::borrow::Borrow;
use std::collections::BTreeMap;

/// A graph and its memory on the host.
#[derive(Debug)]
pub struct Executor<F = f32> {
    graph: Graph,
    values: Vec<Option<Values<F>>>,
    fast: bool,
}

impl<F: Real> Executor<F> {
    /// Memory for every tensor of the graph, zeroed. With `fast`, ops use their fast form where they have one.
    pub fn new(graph: Graph, fast: bool) -> Result<Self> {
        check_memory::<F>(&[&graph])?;
        let own = |t: &crate::ir::graph::TensorInfo| t.view.is_none().then(|| Values::zeros(t.dtype, t.elements()));
        let mut values: Vec<Option<Values<F>>> = graph.tensors.iter().map(own).collect();
        graph.constants.iter().for_each(|(t, constant)| values[t.index()] = Some(constant.convert()));
        Ok(Executor { graph, values, fast })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The memory of tensors that own theirs, in bytes.
    pub fn bytes(&self) -> u64 {
        bytes_needed::<F>(&self.graph)
    }

    /// Replaces the elements of a tensor.
    pub fn set(&mut self, t: Tensor, values: impl Borrow<Values<F>>) -> Result<()> {
        let values = values.borrow();
        let whole = values.len() == self.graph.info(t).elements();
        if whole { self.set_at(t, 0, values) } else { Err(self.other(t)) }
    }

    /// Replaces some elements of a tensor, from the element `at` on.
    pub fn set_at(&mut self, t: Tensor, at: usize, values: &Values<F>) -> Result<()> {
        let (elements, count) = (self.graph.info(t).elements(), values.len());
        let (owner, offset) = self.graph.root(t);
        let fits = at.checked_add(count).is_some_and(|end| end <= elements);
        let place = offset + at;
        match (&mut self.values[owner.index()], values) {
            (Some(Values::Float(y)), Values::Float(x)) if fits => y[place..][..count].copy_from_slice(x),
            (Some(Values::Word(y)), Values::Word(x)) if fits => y[place..][..count].copy_from_slice(x),
            (Some(Values::Byte(y)), Values::Byte(x)) if fits => y[place..][..count].copy_from_slice(x),
            _ => return Err(self.other(t)),
        }
        Ok(())
    }

    fn other(&self, t: Tensor) -> Error {
        Error::failed(format!("{} {}: other elements", self.graph.info(t).name, t))
    }

    /// The elements of a tensor.
    pub fn get(&self, t: Tensor) -> Values<F> {
        let In { elements, .. } = self.arg(t);
        match elements {
            crate::ir::op::Elements::Float(x) => Values::Float(x.to_vec()),
            crate::ir::op::Elements::Word(x) => Values::Word(x.to_vec()),
            crate::ir::op::Elements::Byte(x) => Values::Byte(x.to_vec()),
        }
    }

    fn arg(&self, t: Tensor) -> In<'_, F> {
        let (owner, offset) = self.graph.root(t);
        match &self.values[owner.index()] {
            Some(values) => values.arg(offset, self.graph.shape(t)),
            None => unreachable!("the results of a running op are not among its arguments"),
        }
    }

    /// Runs every op once: one step.
    pub fn step(&mut self) {
        for n in 0..self.graph.nodes.len() {
            self.run(n);
        }
    }

    /// Runs one op.
    pub fn run(&mut self, n: usize) {
        let node = self.graph.nodes[n].clone();
        if node.op.is_view() {
            return;
        }
        // The memory of the results is taken out, so that the arguments can be borrowed beside it.
        let mut taken: BTreeMap<Tensor, Values<F>> = BTreeMap::new();
        let mut wanted: Vec<(Tensor, usize, usize, usize)> = Vec::new();
        for (at, &y) in node.y.iter().enumerate() {
            let (owner, offset) = self.graph.root(y);
            wanted.push((owner, offset, self.graph.info(y).elements(), at));
            if let Some(values) = self.values[owner.index()].take() {
                taken.insert(owner, values);
            }
        }
        wanted.sort_unstable();
        let x: Vec<In<F>> = node.x.iter().map(|&x| self.arg(x)).collect();
        let mut results: Vec<(usize, Out<F>)> = Vec::new();
        for (&owner, values) in &mut taken {
            let spans = wanted.iter().filter(|span| span.0 == owner).map(|&(_, offset, len, at)| (offset, len, at));
            match values.result() {
                Out::Float(memory) => {
                    results.extend(split(memory, spans).into_iter().map(|(at, y)| (at, Out::Float(y))));
                }
                Out::Word(memory) => {
                    results.extend(split(memory, spans).into_iter().map(|(at, y)| (at, Out::Word(y))));
                }
            }
        }
        results.sort_unstable_by_key(|(at, _)| *at);
        let mut y: Vec<Out<F>> = results.into_iter().map(|(_, y)| y).collect();
        F::run(&*node.op, &x, &mut y, self.fast);
        for (owner, values) in taken {
            self.values[owner.index()] = Some(values);
        }
    }
}

/// Disjoint spans (offset, length, key) of one memory, ordered by offset.
fn split<T>(mut memory: &mut [T], spans: impl Iterator<Item = (usize, usize, usize)>) -> Vec<(usize, &mut [T])> {
    let mut at = 0;
    let mut parts = Vec::new();
    for (offset, len, key) in spans {
        let (part, rest) = memory[offset - at..].split_at_mut(len);
        parts.push((key, part));
        (memory, at) = (rest, offset + len);
    }
    parts
}

/// Refuses graphs whose tensors together need more memory than the machine has free.
pub(crate) fn check_memory<F>(graphs: &[&Graph]) -> Result<()> {
    let bytes = graphs.iter().fold(0, |sum: u64, graph| sum.saturating_add(bytes_needed::<F>(graph)));
    crate::memory::check_free(bytes, "the step needs", "a smaller batch may fit")
}

fn bytes_needed<F>(graph: &Graph) -> u64 {
    let own = graph.tensors.iter().filter(|t| t.view.is_none());
    let bytes = own.map(|t| {
        let element = match t.dtype {
            DType::F32 => size_of::<F>() as u64,
            DType::U32 => 4,
            DType::U8 => 1,
        };
        t.shape.0.iter().fold(element, |product, &size| product.saturating_mul(size as u64))
    });
    bytes.fold(0, u64::saturating_add)
}
