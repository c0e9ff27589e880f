//! The native CPU: runs the graph op by op, in single precision for training, in double precision as the oracle.

pub mod native;

use crate::error::{Error, Result};
use crate::ir::graph::{DType, Graph, Role, Tensor};
use crate::ir::op::{In, Out, Real};
use crate::ir::values::Values;
use crate::plan::lifetime::{self, Claim, share};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A graph and its memory on the host.
#[derive(Debug)]
pub struct Executor<F = f32> {
    graph: Graph,
    // The memory that each tensor's own lies in; of a view that of its owner is used.
    homes: Vec<usize>,
    memory: Vec<Option<Arc<Values<F>>>>,
    fast: bool,
}

impl<F: Real> Executor<F> {
    /// Memory for every tensor of the graph, zeroed. With `fast`, ops use their fast form where they have one.
    ///
    /// # Errors
    /// [`Error::Input`] where the machine has less memory free than the graph needs.
    pub fn new(graph: Graph, fast: bool) -> Result<Self> {
        Self::with_memory(graph, fast, false, None)
    }

    /// The same; with `reuse` results within a step share memory as their lifetimes allow, so that what a step leaves of them cannot
    /// be read; and with memory for one tensor that another executor lends.
    pub(in crate::device) fn with_memory(
        graph: Graph,
        fast: bool,
        reuse: bool,
        lent: Option<(Tensor, Arc<Values<F>>)>,
    ) -> Result<Self> {
        let mut layout = Layout::of(&graph, reuse);
        if let Some((t, values)) = &lent {
            let (_, elements) = &mut layout.places[layout.homes[t.index()]];
            if std::mem::take(elements) != values.len() as u64 {
                return Err(Error::failed(format!("{} {t}: other elements are lent", graph.info(*t).name)));
            }
        }
        check_free(layout.bytes::<F>())?;
        let zeros = |&(dtype, elements): &(DType, u64)| Some(Arc::new(Values::zeros(dtype, elements as usize)));
        let mut memory: Vec<Option<Arc<Values<F>>>> = layout.places.iter().map(zeros).collect();
        let constants = graph.constants.iter().map(|(t, constant)| (*t, Arc::new(constant.convert())));
        constants.chain(lent).for_each(|(t, values)| memory[layout.homes[t.index()]] = Some(values));
        Ok(Executor { graph, homes: layout.homes, memory, fast })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The memory of tensors that own theirs, in bytes.
    pub fn bytes(&self) -> u64 {
        self.memory.iter().flatten().map(|values| values.size()).sum()
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
        match (self.memory[self.homes[owner.index()]].as_mut().map(Arc::make_mut), values) {
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
        match &self.memory[self.homes[owner.index()]] {
            Some(values) => values.arg(offset, self.graph.shape(t)),
            None => unreachable!("the results of a running op are not among its arguments"),
        }
    }

    /// The memory of a tensor that owns it, for another executor to read.
    pub(in crate::device) fn lend(&self, t: Tensor) -> Arc<Values<F>> {
        match &self.memory[self.homes[t.index()]] {
            Some(values) => values.clone(),
            None => unreachable!("no op is running"),
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
        let mut taken: BTreeMap<usize, Arc<Values<F>>> = BTreeMap::new();
        let mut wanted: Vec<(usize, usize, usize, usize)> = Vec::new();
        for (at, &y) in node.y.iter().enumerate() {
            let (owner, offset) = self.graph.root(y);
            let home = self.homes[owner.index()];
            wanted.push((home, offset, self.graph.info(y).elements(), at));
            if let Some(values) = self.memory[home].take() {
                taken.insert(home, values);
            }
        }
        wanted.sort_unstable();
        let x: Vec<In<F>> = node.x.iter().map(|&x| self.arg(x)).collect();
        let mut results: Vec<(usize, Out<F>)> = Vec::new();
        for (&home, values) in &mut taken {
            let spans = wanted.iter().filter(|span| span.0 == home).map(|&(_, offset, len, at)| (offset, len, at));
            match Arc::make_mut(values).result() {
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
        for (home, values) in taken {
            self.memory[home] = Some(values);
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

/// The memory of a graph: where each tensor lies that owns its own, and how much of what is needed.
struct Layout {
    homes: Vec<usize>,
    places: Vec<(DType, u64)>,
}

impl Layout {
    /// With `reuse`, results within a step share memory.
    fn of(graph: &Graph, reuse: bool) -> Layout {
        let claim = |tensor: Tensor, life| {
            let info = graph.info(tensor);
            let size = info.shape.0.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64));
            Claim { tensor, kind: info.dtype, size, shares: reuse && info.role == Role::Activation, life }
        };
        let mut claims: Vec<Claim<DType>> =
            lifetime::of_graph(graph).into_iter().map(|(tensor, life)| claim(tensor, life)).collect();
        // What no node touches, the host does, save for results of ops that became a part of others.
        let touched: BTreeSet<Tensor> = claims.iter().map(|claim| claim.tensor).collect();
        let all = (0..graph.tensors.len() as u32).map(Tensor);
        let others = all.filter(|t| graph.info(*t).view.is_none() && !touched.contains(t));
        let wanted = |claim: Claim<DType>| if claim.shares { 0 } else { claim.size };
        let others = others.map(|tensor| claim(tensor, (0, usize::MAX)));
        claims.extend(others.map(|claim| Claim { size: wanted(claim), shares: false, ..claim }));
        let (found, places) = share(&claims);
        let mut homes = vec![0; graph.tensors.len()];
        claims.iter().zip(found).for_each(|(claim, home)| homes[claim.tensor.index()] = home);
        Layout { homes, places }
    }

    fn bytes<F>(&self) -> u64 {
        let bytes = self.places.iter().map(|(dtype, elements)| {
            let element = match dtype {
                DType::F32 => size_of::<F>() as u64,
                DType::U32 => 4,
                DType::U8 => 1,
            };
            elements.saturating_mul(element)
        });
        bytes.fold(0, u64::saturating_add)
    }
}

/// Refuses graphs of steps whose tensors together need more memory than the machine has free, where results share it.
pub(crate) fn check_memory<F>(graphs: &[&Graph]) -> Result<()> {
    let bytes = graphs.iter().map(|graph| Layout::of(graph, true).bytes::<F>());
    check_free(bytes.fold(0, u64::saturating_add))
}

fn check_free(bytes: u64) -> Result<()> {
    crate::memory::check_free(bytes, "the step needs", "a smaller batch may fit")
}
