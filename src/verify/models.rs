//! Whole training steps compared with the oracle: each op on the adapter's own inputs, and the gradients end to end.

use crate::device::Device;
use crate::device::cpu;
use crate::device::executor::Build;
use crate::error::Result;
use crate::ir::graph::{Graph, Phase, Tensor};
use crate::ir::op::{Real, Rounding};
use crate::ir::values::Values;
use crate::model::{Model, Normalisation};
use crate::step::control::pcg;
use crate::train::settings::options::TrainOptions;
use crate::train::step::Step;
use crate::verify::compare::{Deviation, Oracle, deviation, magnitudes};
use crate::verify::stem;
use rayon::prelude::*;
use serde::Serialize;

/// Rows of the batch.
const BATCH: usize = 4;

/// The result for one model's training step.
#[derive(Clone, Debug, Serialize)]
pub struct ModelReport {
    /// The model.
    pub model: String,
    /// Ops that were compared with the oracle one by one.
    pub ops: usize,
    /// Whether gradients were also compared with the oracle's own run, which takes a forward pass that is exact in
    /// single precision.
    pub end_to_end: bool,
    /// The kernels of its plan.
    pub kernels: Vec<String>,
    /// The absolute error of the element that used up most of its tolerance.
    pub worst_error: f64,
    /// The tolerance of that element.
    pub tolerance: f64,
    /// `pass` or `fail`.
    pub verdict: &'static str,
    /// The first op, or gradient, that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// A step with values so coarse that its forward pass is exact in single precision where nothing normalises: every adapter
/// then decides each ReLU and each maximum alike, ties included.
pub(super) struct Setup {
    pub(super) step: Step,
    pub(super) contents: Vec<(Tensor, Values)>,
}

impl Setup {
    pub(super) fn new(model: &Model) -> Result<Setup> {
        let normalisation = Normalisation { scale: 0.25, shift: 0.0 };
        let model = Model { normalisation, ..model.clone() };
        let options = TrainOptions { batch_size: BATCH, ..TrainOptions::default() };
        let step = Step::training(&model, BATCH, &options)?;
        let random = |stream: u32, i: usize| pcg(pcg(stream) ^ i as u32);
        let mut contents = Vec::new();
        let graph = &step.graph;
        let classes = model.classes()? as u32;
        let (input, labels) = (step.input(), step.target());
        // Of a stream the targets are the input.
        if input.tensor != labels.tensor {
            let bytes = graph.info(input.tensor).elements();
            contents.push((input.tensor, Values::Byte((0..bytes).map(|i| (random(1, i) % 4) as u8).collect())));
        }
        // Bytes or two bytes, the lower first; the rest of a sample's whole words is not read.
        let (width, size) = (labels.field.element.bytes(), labels.field.bytes());
        let label = |i: usize| (random(2, i / width) % classes).to_le_bytes()[i % width];
        let sample = |s: usize| (0..labels.field.stride()).map(move |i| if i < size { label(s * size + i) } else { 0 });
        contents.push((labels.tensor, Values::Byte((0..BATCH).flat_map(sample).collect())));
        contents.push((step.control, Values::Word(step.start(1, options.rate(), options.optimizer().betas()).words())));
        for (p, param) in graph.params.iter().enumerate() {
            // Multiples of 1/8 up to 3/8; few of them in wide layers, so that sums stay small.
            let elements = graph.info(param.tensor).elements();
            let thin = (elements / 4096 + 1) as u32;
            let weight = |i: usize| match random(100 + p as u32, i) {
                r if (r >> 8) % thin != 0 => 0.0,
                r => (r % 7) as f32 / 8.0 - 0.375,
            };
            contents.push((param.tensor, Values::Float((0..elements).map(weight).collect())));
        }
        Ok(Setup { step, contents })
    }

    /// A run of the reference in `F`, with the contents of the start.
    fn oracle<F: Real>(&self) -> Result<cpu::Executor<F>> {
        let mut executor = cpu::Executor::<F>::new(self.step.graph.clone(), false)?;
        self.contents.iter().try_for_each(|(t, values)| executor.set(*t, values.convert()))?;
        Ok(executor)
    }

    /// Every tensor after the step in double precision, where single precision agrees with it to the bit on everything up to
    /// the logits. `None` as soon as an op rounds.
    fn exact(&self) -> Result<Option<Vec<Values<f64>>>> {
        let (mut single, mut double) = (self.oracle::<f32>()?, self.oracle::<f64>()?);
        for (n, node) in self.step.graph.nodes.iter().enumerate().take(self.forward()) {
            rayon::join(|| single.run(n), || double.run(n));
            if node.y.iter().any(|&y| single.get(y).convert() != double.get(y)) {
                return Ok(None);
            }
        }
        (self.forward()..self.step.graph.nodes.len()).for_each(|n| double.run(n));
        Ok(Some(tensors(&self.step.graph).map(|t| double.get(t)).collect()))
    }

    /// How many nodes come before the loss.
    fn forward(&self) -> usize {
        self.step.graph.nodes.iter().take_while(|node| !node.x.contains(&self.step.logits)).count()
    }
}

fn tensors(graph: &Graph) -> impl Iterator<Item = Tensor> + use<> {
    (0..graph.tensors.len() as u32).map(Tensor)
}

/// Runs one training step of `model` at batch 4 on a device and holds it to the oracle.
pub fn check(device: &Device, model: &Model, checked: bool) -> Result<ModelReport> {
    let setup = Setup::new(model)?;
    let graph = &setup.step.graph;
    let start = setup.oracle::<f32>()?;
    let before: Vec<Values> = tensors(graph).map(|t| start.get(t)).collect();
    drop(start);
    // Normalisations round: then a ReLU or a maximum may be decided one way here and another way there.
    let double = setup.exact()?;
    let mut executor = device.executor(graph, Build { checked, ..Build::default() })?;
    for (t, values) in &setup.contents {
        executor.write(*t, values)?;
    }
    executor.submit(1)?;
    let mut after = before.clone();
    for t in tensors(graph).filter(|t| executor.has(*t)) {
        after[t.index()] = pollster::block_on(executor.read(t))?;
    }
    let mut kernels: Vec<String> = executor.parts().into_iter().filter_map(|part| stem(&part.kernel?)).collect();
    kernels.dedup();
    let exact = double.as_ref().map(|double| (setup.forward(), &double[..]));
    let (worst, ops, failed) = judge(graph, exact, &before, &after);
    Ok(ModelReport {
        model: model.name.clone(),
        ops,
        end_to_end: double.is_some(),
        kernels,
        worst_error: worst.error,
        tolerance: worst.tolerance,
        verdict: if worst.passed { "pass" } else { "fail" },
        failed,
    })
}

/// Each op on the device's own inputs, then, where the forward pass is `exact`, each parameter's gradient against the
/// oracle's own run.
///
/// Before the loss, everything is exact (this many nodes). After it, every op may deviate by its tolerance, from
/// arguments that have strayed: magnitudes are carried from op to op, and the tolerance grows with the number of ops.
fn judge(
    graph: &Graph,
    exact: Option<(usize, &[Values<f64>])>,
    before: &[Values],
    after: &[Values],
) -> (Deviation, usize, Option<String>) {
    let (mut worst, mut ops, mut failed) = (Deviation::NONE, 0, None);
    let mut note = |deviation: Deviation, what: String| {
        worst = worst.worse(deviation);
        if !deviation.passed && failed.is_none() {
            failed = Some(what);
        }
    };
    let pick = |from: &[Values], ts: &[Tensor]| ts.iter().map(|t| from[t.index()].clone()).collect::<Vec<_>>();
    let mut changed = vec![false; graph.tensors.len()];
    graph.nodes.iter().filter(|n| n.phase != Phase::Compute).for_each(|node| {
        node.y.iter().for_each(|y| changed[graph.root(*y).0.index()] = true);
    });
    // Parameters live in the arena that the optimizer changes.
    let owner_changes = |t: &Tensor| changed[graph.root(*t).0.index()];
    let mut sizes = exact.map_or(Vec::new(), |(_, oracle)| oracle.to_vec());
    let each = graph.nodes.par_iter().filter(|node| !node.op.is_view()).map(|node| {
        // What is updated in place is read as it was; all else as the device has it.
        let x: Vec<Values> = (node.x.iter())
            .map(|t| if owner_changes(t) { before[t.index()].clone() } else { after[t.index()].clone() })
            .collect();
        Oracle::of(graph, node, &x, &pick(before, &node.y)).judge(&pick(after, &node.y))
    });
    let mut each = each.collect::<Vec<Deviation>>().into_iter();
    for (n, node) in graph.nodes.iter().enumerate() {
        if node.op.is_view() {
            if exact.is_some() {
                sizes[node.y[0].index()] = sizes[node.x[0].index()].clone();
            }
            continue;
        }
        each.next().into_iter().for_each(|deviation| note(deviation, format!("{:?}", node.op)));
        ops += 1;
        let Some((forward, oracle)) = exact.filter(|(forward, _)| n >= *forward && node.phase == Phase::Compute) else {
            continue;
        };
        let depth = (n + 1 - forward) as f64;
        let infos: Vec<_> = node.x.iter().map(|&x| graph.info(x)).collect();
        let Rounding { terms, ulps } = node.op.rounding(&infos);
        let grown = Rounding { terms: (terms as f64 * depth * depth) as usize, ulps: ulps * depth };
        for (y, size) in node.y.iter().zip(magnitudes(graph, node, &sizes)) {
            if graph.params.iter().any(|p| p.grad == Some(*y)) {
                let found = deviation(&after[y.index()], &oracle[y.index()], &size, grown, 0..0);
                note(found, format!("{} end to end", graph.info(*y).name));
            }
            sizes[y.index()] = size;
        }
    }
    (worst, ops, failed)
}
