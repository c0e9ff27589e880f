//! Training in several processes: each computes batches of an update, and all of them make the update, in the bytes of one
//! process that accumulates as many batches.

mod follower;
mod round;
mod summing;
mod validation;

pub use follower::Follower;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Phase, Role, Tensor};
use crate::processes::{Communicator, all_agree, any, gather_all};
use crate::train::epochs::trainer::Trainer;
use crate::train::processes::summing::Summing;
use crate::train::state::digest::Digest;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The processes of a trainer, and what it needs for their exchange.
#[derive(Debug)]
pub(in crate::train) struct Together {
    others: Arc<dyn Communicator>,
    /// The sum of all gradients, of which this process has a slice.
    summing: Summing,
    /// What the update reads of the forward and backward passes, gradients apart.
    crossing: Vec<Tensor>,
    /// Whether all processes have one kind of device, and so the same weights to the bit.
    alike: bool,
    /// Whether all processes have met the error that ended the run.
    shared_error: bool,
}

impl Together {
    /// The processes.
    pub(in crate::train) fn others(&self) -> &dyn Communicator {
        &*self.others
    }
}

/// What the update reads of the forward and backward passes, gradients and state apart.
///
/// # Errors
/// [`Error::Failed`] for a graph whose phases are not one after the other, so that results may lie where others were.
fn crossing(graph: &Graph) -> Result<Vec<Tensor>> {
    let (_, updates) = graph.nodes.split_at(graph.nodes.partition_point(|node| node.phase == Phase::Compute));
    if let Some(node) = updates.iter().find(|node| node.phase == Phase::Compute) {
        return Err(Error::failed(format!("{}: it is computed after an update, expected it before", node.op.name())));
    }
    let computed = graph.nodes.iter().filter(|node| node.phase == Phase::Compute);
    let computed: BTreeSet<Tensor> = computed.flat_map(|node| node.y.iter().map(|y| graph.root(*y).0)).collect();
    let read = graph.nodes.iter().filter(|node| node.phase != Phase::Compute).flat_map(|node| &node.x);
    let is_result = |t: &Tensor| {
        let (root, _) = graph.root(*t);
        computed.contains(&root) && graph.info(root).role == Role::Activation
    };
    let found: BTreeSet<Tensor> = read.copied().filter(is_result).collect();
    Ok(found.into_iter().collect())
}

impl Trainer {
    /// Trains together with other processes from now on: of the batches of an update, whose number is
    /// [`accumulate`](crate::train::settings::options::TrainOptions::accumulate), process r of n takes every n-th from the r-th
    /// on. All processes must have been made with the same data, options and weights. Returns what is to be said of it.
    ///
    /// # Errors
    /// [`Error::Input`] for a model whose batches cannot be computed side by side, for more processes than batches of an update,
    /// and where the processes differ; all of them have the same error.
    pub async fn join(&mut self, device: &Device, others: Arc<dyn Communicator>) -> Result<Vec<String>> {
        let (size, every) = (others.size(), self.options.accumulate as usize);
        if let Some((_, state)) = self.step.graph.carried.first() {
            let (model, state) = (&self.model.name, &self.step.graph.info(*state).name);
            return Err(Error::input(format!(
                "{model}: its state {state} goes on from batch to batch (`carry`), so that batches cannot be computed side by \
                 side; found {size} processes, expected one, or a model that does not carry its state"
            )));
        }
        if size > every {
            let batches = if every == 1 { "1 batch".to_owned() } else { format!("{every} batches") };
            return Err(Error::input(format!(
                "an update of this run is made of {batches} (accumulate), so that {} of {size} processes would have nothing to do; \
                 expected at most {every}",
                size - every
            )));
        }
        let fault = |e: serde_json::Error| Error::failed(format!("the settings: {e}"));
        let options = serde_json::to_string(&self.options.clone().resolved()).map_err(fault)?;
        let data = serde_json::to_string(&self.data).map_err(fault)?;
        let samples = self.data.samples.map(|count| count.to_string()).join(" + ");
        let weights = Digest::of(&self.raw_weights().await?);
        all_agree(
            &*others,
            &[
                ("model", self.model.to_json()?),
                ("settings", options),
                ("samples", samples),
                ("data", data),
                ("step", self.progress.step.to_string()),
                ("weights", weights.to_string()),
            ],
        )?;
        let devices = gather_all(&*others, self.device.as_bytes())?;
        let alike = devices.iter().all(|device| *device == devices[0]);
        let mut notes = Vec::new();
        if !alike {
            let devices: BTreeSet<String> =
                devices.iter().map(|device| String::from_utf8_lossy(device).into_owned()).collect();
            let devices: Vec<String> = devices.into_iter().collect();
            notes.push(format!(
                "the processes have different devices ({}), so that the run does not end in the bytes that one process would",
                devices.join("; ")
            ));
        }
        if !every.is_multiple_of(size) {
            notes.push(format!("an update is made of {every} batches, which {size} processes cannot share evenly"));
        }
        let summing = Summing::new(device, &self.step.graph, [others.rank(), size])?;
        let crossing = crossing(&self.step.graph)?;
        self.together = Some(Together { others, summing, crossing, alike, shared_error: false });
        Ok(notes)
    }

    /// Trains alone from now on; all processes take leave of one another.
    ///
    /// # Errors
    /// [`Error::Failed`] if the others cannot be reached.
    pub fn part(&mut self) -> Result<()> {
        self.together.take().map_or(Ok(()), |together| together.others.leave())
    }

    /// Whether the error that ended the run ended it in all processes. After another one the others wait for this process.
    pub fn has_shared_error(&self) -> bool {
        self.together.as_ref().is_none_or(|together| together.shared_error)
    }

    /// Records that the error to come is one of all processes, which compute the same to the bit where their devices are alike.
    pub(in crate::train) fn share_error(&mut self) {
        self.together.iter_mut().for_each(|together| together.shared_error = together.alike);
    }

    /// The bytes of the gradients of an update.
    pub fn gradient_bytes(&self) -> usize {
        let gradients = self.step.graph.trained_params().map(|(param, _)| self.step.graph.aligned(param.tensor));
        gradients.sum::<usize>() * size_of::<f32>()
    }

    /// The seconds in which this process computed nothing, for the exchange or for others, as long as it was one of several.
    pub fn exchange_seconds(&self) -> f64 {
        self.exchange.as_secs_f64()
    }

    /// Whether this process is the one that tells and writes; alone it is.
    pub(in crate::train) fn is_first(&self) -> bool {
        self.together.as_ref().is_none_or(|together| together.others.rank() == 0)
    }

    /// Breaks in all processes if one does.
    pub(in crate::train) fn agree(&self, flow: ControlFlow<()>) -> Result<ControlFlow<()>> {
        let Some(together) = &self.together else { return Ok(flow) };
        Ok(if any(&*together.others, flow.is_break())? { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Compares the weights of all processes, which are the same to the bit where their devices are alike.
    pub(in crate::train) fn compare(&mut self, weights: Digest) -> Result<()> {
        let Some(together) = self.together.as_ref().filter(|together| together.alike) else { return Ok(()) };
        let all = gather_all(&*together.others, weights.to_string().as_bytes())?;
        let others = all.iter().enumerate().filter(|(_, digest)| **digest != all[0]);
        let others: Vec<String> = others.map(|(rank, _)| rank.to_string()).collect();
        if others.is_empty() {
            return Ok(());
        }
        self.share_error();
        let (step, first) = (self.progress.step, String::from_utf8_lossy(&all[0]).into_owned());
        Err(Error::failed(format!(
            "step {step}: process {} has other weights than process 0 (weights_sha256 {first}), expected the same in all: a device \
             or its memory computes wrongly; wgrad verify may show which",
            others.join(", ")
        )))
    }
}
