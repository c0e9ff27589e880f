//! The sum of the gradients of all processes, of which each makes a slice on its device: by the op and in the order of one
//! process, so to the same bit.

use crate::device::Device;
use crate::device::executor::{Build, Executor};
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Node, Phase, Role, Tensor, TensorInfo};
use crate::ir::values::Values;
use crate::ops::optim::accumulate::Accumulate;
use crate::step::control::Control;
use crate::train::epochs::engine::Engine;
use std::any::Any;

/// Elements of a slice are whole vectors of four.
const VECTOR: usize = 4;

/// The tensors of the op that makes the gradients of several batches one.
#[derive(Clone, Copy, Debug)]
struct Tensors {
    control: Tensor,
    weight: Option<Tensor>,
    sum: Tensor,
    grads: Tensor,
    of_update: Tensor,
}

impl Tensors {
    fn of(Node { x, y, .. }: &Node) -> Result<Tensors> {
        match (&x[..], &y[..]) {
            (&[control, ref weight @ ..], &[sum, grads, of_update, _]) => {
                Ok(Tensors { control, weight: weight.first().copied(), sum, grads, of_update })
            }
            _ => Err(Error::failed("the sum of gradients has other arguments")),
        }
    }
}

/// A slice of the sum, on the device of the step.
#[derive(Debug)]
pub(super) struct Summing {
    executor: Box<dyn Executor>,
    /// Its own tensors, and those of the step.
    own: Tensors,
    step: Tensors,
    /// All gradients, and those of a slice.
    elements: usize,
    slice: usize,
    place: [usize; 2],
}

impl Summing {
    /// The slice of process `rank` of `size`.
    pub(super) fn new(device: &Device, graph: &Graph, place: [usize; 2]) -> Result<Summing> {
        let node = graph.nodes.iter().find(|node| node.phase == Phase::Reduce);
        let node = node.ok_or_else(|| Error::failed("the step has no sum of gradients"))?;
        let op: &dyn Any = &*node.op;
        let op = op.downcast_ref::<Accumulate>().ok_or_else(|| Error::failed("another op sums the gradients"))?;
        let slice = op.elements.div_ceil(place[1]).next_multiple_of(VECTOR);
        let mut of_slice = Graph::new();
        let mut words = |name, words| of_slice.tensor(TensorInfo::words(name, [words]).role(Role::Control));
        let [control, of_update] = ["control", "control of the update"].map(|name| words(name, Control::WORDS));
        let fault = words("fault", 1);
        let mut floats = |name, floats| of_slice.tensor(TensorInfo::floats(name, [floats]).role(Role::State));
        let [sum, grads] = ["accumulated", "grads"].map(|name| floats(name, slice));
        let weight = op.weighted.then(|| floats("weight", 2));
        let from: Vec<Tensor> = [control].into_iter().chain(weight).collect();
        of_slice.reduce(Accumulate { elements: slice, ..*op }, &from, &[sum, grads, of_update, fault])?;
        let executor = device.executor(&of_slice, Build::default())?;
        let own = Tensors { control, weight, sum, grads, of_update };
        Ok(Summing { executor, own, step: Tensors::of(node)?, elements: op.elements, slice, place })
    }

    /// The gradients of the step.
    pub(super) fn grads(&self) -> Tensor {
        self.step.grads
    }

    /// Gradients in slices for all processes, the last of them filled up.
    pub(super) fn slices(&self, mut grads: Vec<f32>) -> Vec<f32> {
        grads.resize(self.slice * self.place[1], 0.0);
        grads
    }

    /// Adds a batch: the step's control block is that of the batch, and so is what its losses weigh; `grads` are the batch's in
    /// this slice.
    pub(super) fn add(&mut self, engine: &mut Engine, grads: &[u8]) -> Result<()> {
        let (own, step) = (self.own, self.step);
        self.executor.copy_from(own.control, engine.executor(), step.control)?;
        if let (Some(own), Some(step)) = (own.weight, step.weight) {
            self.executor.copy_from(own, engine.executor(), step)?;
        }
        self.executor.write(own.grads, &Values::Float(bytemuck::pod_collect_to_vec(grads)))?;
        self.executor.submit_phase(Phase::Reduce)?;
        engine.copy_from_executor(step.of_update, &*self.executor, own.of_update)
    }

    /// The slice of the update's gradients, once the last batch was added.
    pub(super) async fn mean(&self) -> Result<Values> {
        self.executor.read(self.own.grads).await
    }

    /// The slice of the sum as it is.
    pub(super) async fn sum(&self) -> Result<Values> {
        self.executor.read(self.own.sum).await
    }

    /// Gives the step the update's gradients, from the slices of all processes.
    pub(super) fn give_mean(&self, engine: &mut Engine, slices: &[u8]) -> Result<()> {
        engine.write(self.step.grads, Values::Float(self.whole(slices)))
    }

    /// Gives the step the sum, from the slices of all processes: a checkpoint has it.
    pub(super) fn give_sum(&self, engine: &mut Engine, slices: &[u8]) -> Result<()> {
        engine.write(self.step.sum, Values::Float(self.whole(slices)))
    }

    /// Takes the slice of the sum that a step has, to go on within an update.
    pub(super) async fn take_sum(&mut self, engine: &Engine) -> Result<()> {
        let Values::Float(sum) = engine.read(self.step.sum).await? else {
            return Err(Error::failed("the sum of gradients is not floats"));
        };
        let [rank, _] = self.place;
        let slice = self.slices(sum)[rank * self.slice..][..self.slice].to_vec();
        self.executor.write(self.own.sum, &Values::Float(slice))
    }

    fn whole(&self, slices: &[u8]) -> Vec<f32> {
        let mut whole: Vec<f32> = bytemuck::pod_collect_to_vec(slices);
        whole.truncate(self.elements);
        whole
    }
}
