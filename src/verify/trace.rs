//! One training step on two executors, op by op from the same inputs, and the first op where they differ.

use crate::device::Device;
use crate::device::executor::{Build, Executor, Part};
use crate::error::Result;
use crate::ir::graph::{Graph, Tensor};
use crate::ir::op::Rounding;
use crate::ir::values::Values;
use crate::model::Model;
use crate::verify::compare::{Deviation, Oracle, deviation, magnitudes};
use crate::verify::models::Setup;
use serde::Serialize;

/// The reference for a device.
#[derive(Clone, Copy, Debug)]
pub enum Against<'a> {
    /// The reference in double precision.
    Oracle,
    /// Another device.
    Device(&'a Device),
}

/// One op on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its number in the step.
    pub node: usize,
    /// The op.
    pub op: String,
    /// Its first result's name.
    pub tensor: String,
    /// Its first result's sizes.
    pub shape: Vec<usize>,
    /// The kernels that it runs on the device.
    pub kernels: Vec<String>,
    /// The absolute difference of the element that used up most of its tolerance.
    pub worst_error: f64,
    /// The tolerance of that element.
    pub tolerance: f64,
    /// `pass` or `fail`.
    pub verdict: &'static str,
}

/// A step on two sides.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// The model.
    pub model: String,
    /// The device.
    pub device: String,
    /// Its reference.
    pub against: String,
    /// Every op of the step that computes something, in its order.
    pub ops: Vec<Row>,
}

impl Trace {
    /// The first op where the two differ by more than rounding may.
    pub fn first(&self) -> Option<&Row> {
        self.ops.iter().find(|row| row.verdict != "pass")
    }
}

/// The step on one device, run node by node.
struct Side {
    executor: Box<dyn Executor>,
    parts: Vec<Part>,
}

impl Side {
    fn new(device: &Device, setup: &Setup, checked: bool) -> Result<Self> {
        let mut executor = device.executor(&setup.step.graph, Build { checked, ..Build::default() })?;
        setup.contents.iter().try_for_each(|(t, values)| executor.write(*t, values))?;
        Ok(Side { parts: executor.parts(), executor })
    }

    /// The parts of a node, with their numbers.
    fn of(&self, node: usize) -> impl Iterator<Item = (usize, &Part)> {
        self.parts.iter().enumerate().filter(move |(_, part)| part.node == node)
    }

    fn run(&mut self, node: usize) -> Result<()> {
        let own: Vec<usize> = self.of(node).map(|(n, _)| n).collect();
        own.into_iter().try_for_each(|n| self.executor.run_part(n))
    }

    fn kernels(&self, node: usize) -> Vec<String> {
        self.of(node).filter_map(|(_, part)| part.kernel.clone()).collect()
    }
}

/// Runs one training step of `model` at batch 4 on a device, and each of its ops with the very same inputs on the other
/// side. The inputs are those of `verify`: so coarse that both sides decide every maximum alike. The tolerance is what
/// rounding explains, of both sides where both round.
///
/// # Errors
/// [`crate::Error::Failed`] if a device fails; that the two differ is none.
pub fn trace(device: &Device, against: Against, model: &Model, checked: bool) -> Result<Trace> {
    let setup = Setup::new(model)?;
    let graph = &setup.step.graph;
    let mut one = Side::new(device, &setup, checked)?;
    let mut other = match against {
        Against::Oracle => None,
        Against::Device(device) => Some(Side::new(device, &setup, checked)?),
    };
    let mut ops = Vec::new();
    for (n, node) in graph.nodes.iter().enumerate().filter(|(_, node)| !node.op.is_view()) {
        let own = |side: &Side, ts: &[Tensor]| -> Result<Vec<Values>> {
            let read = |t| match side.executor.has(t) {
                true => pollster::block_on(side.executor.read(t)),
                false => Ok(zeros(graph, t)),
            };
            ts.iter().map(|&t| read(t)).collect()
        };
        let (x, before) = (own(&one, &node.x)?, own(&one, &node.y)?);
        one.run(n)?;
        let got = own(&one, &node.y)?;
        let found = match &mut other {
            None => Oracle::of(graph, node, &x, &before).judge(&got),
            Some(other) => {
                for (t, values) in node.x.iter().zip(&x).chain(node.y.iter().zip(&before)) {
                    if one.executor.has(*t) && other.executor.has(*t) {
                        other.executor.write(*t, values)?;
                    }
                }
                other.run(n)?;
                let want = own(other, &node.y)?;
                between(graph, n, &x, &before, [&got, &want])
            }
        };
        let first = graph.info(node.y[0]);
        ops.push(Row {
            node: n,
            op: node.op.name().into(),
            tensor: first.name.clone(),
            shape: first.shape.0.clone(),
            kernels: one.kernels(n),
            worst_error: found.error,
            tolerance: found.tolerance,
            verdict: if found.passed { "pass" } else { "fail" },
        });
    }
    let name = match against {
        Against::Oracle => "the double-precision oracle".into(),
        Against::Device(device) => device.name(),
    };
    Ok(Trace { model: model.name.clone(), device: device.name(), against: name, ops })
}

fn zeros(graph: &Graph, t: Tensor) -> Values {
    Values::zeros(graph.info(t).dtype, graph.info(t).elements())
}

/// Two sides' results of one op: each may stray from the truth by its tolerance, and so from the other by two.
fn between(graph: &Graph, n: usize, x: &[Values], before: &[Values], [got, want]: [&[Values]; 2]) -> Deviation {
    let node = &graph.nodes[n];
    let mut all: Vec<Values<f64>> = vec![Values::Float(Vec::new()); graph.tensors.len()];
    let inputs = node.y.iter().zip(before).chain(node.x.iter().zip(x));
    inputs.for_each(|(t, values)| all[t.index()] = values.convert());
    let sizes = magnitudes(graph, node, &all);
    let infos: Vec<_> = node.x.iter().map(|&t| graph.info(t)).collect();
    let Rounding { terms, ulps } = node.op.rounding(&infos);
    // The tolerance grows with the root of the terms: four times as many are twice as much.
    let both = Rounding { terms: 4 * terms, ulps: 2.0 * ulps };
    let each = got.iter().zip(want).zip(&sizes).enumerate();
    let each = each.map(|(result, ((got, want), sizes))| {
        deviation(got, &want.convert(), sizes, both, node.op.float_words(result))
    });
    each.fold(Deviation::NONE, Deviation::worse)
}
