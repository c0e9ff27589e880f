//! From a trainer to a checkpoint and back: what the device holds, in the order of files.

use super::checkpoint::{Checkpoint, State};
use super::trainer::Trainer;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::graph::{Graph, Role, Tensor};
use crate::model::weights::Weights;
use crate::values::Values;

impl Trainer {
    /// The weights as they are now, in the weight file's order.
    pub async fn weights(&self) -> Result<Weights> {
        self.arena(self.step.params).await
    }

    /// Everything that the run needs to go on from here. No step may be in flight: `fit` leaves none.
    ///
    /// # Errors
    /// [`Error::Failed`] where the device fails.
    pub async fn checkpoint(&self) -> Result<Checkpoint> {
        let Values::Word(control) = self.engine.read(self.step.control).await? else {
            return Err(Error::failed("the control block is not words"));
        };
        let mut optimizer = Vec::new();
        for tensor in states(&self.step.graph) {
            optimizer.push((self.step.graph.info(tensor).name.clone(), self.arena(tensor).await?));
        }
        let (progress, options) = (self.progress.clone(), self.options.clone().resolved());
        let state = State::new(Control::read(&control), progress, options, self.data.clone(), self.device.clone())?;
        Ok(Checkpoint { model: self.model.clone(), weights: self.weights().await?, optimizer, state })
    }

    /// Goes on from a checkpoint: `fit` then does what the run that wrote it would have done.
    ///
    /// # Errors
    /// [`Error::Input`] where it belongs to another model, other settings (their length apart) or other data.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let Checkpoint { model, weights, optimizer, state } = checkpoint;
        if *model != self.model {
            let (found, expected) = (&model.name, &self.model.name);
            return Err(Error::input(format!(
                "the checkpoint has the model {found}, expected {expected} and the same layers"
            )));
        }
        state.check(&self.options, &self.data)?;
        let start = self.step.start(self.options.seed, self.options.rate(), self.options.optimizer().betas());
        let control = state.control(start)?;
        let graph = self.step.graph.clone();
        let names: Vec<&str> = states(&graph).map(|t| graph.info(t).name.as_str()).collect();
        let found: Vec<&str> = optimizer.iter().map(|(name, _)| name.as_str()).collect();
        if found != names {
            return Err(Error::input(format!("the checkpoint has the optimizer's {found:?}, expected {names:?}")));
        }
        let arenas = std::iter::once((self.step.params, weights));
        for (tensor, weights) in arenas.chain(states(&graph).zip(optimizer.iter().map(|(_, weights)| weights))) {
            let mut arena = vec![0.0; graph.info(tensor).elements()];
            for (param, values) in weights.to_graph(&graph)? {
                let (_, offset) = graph.root(param);
                arena[offset..][..values.len()].copy_from_slice(&values);
            }
            self.engine.write(tensor, Values::Float(arena))?;
        }
        self.engine.write(self.step.control, Values::Word(control.words()))?;
        self.engine.restart_at(state.progress.step);
        self.progress = state.progress.clone();
        Ok(())
    }

    /// An arena laid out as that of the parameters, in the weight file's order.
    async fn arena(&self, tensor: Tensor) -> Result<Weights> {
        let Values::Float(arena) = self.engine.read(tensor).await? else {
            return Err(Error::failed(format!("{} are not floats", self.step.graph.info(tensor).name)));
        };
        let graph = &self.step.graph;
        Weights::from_graph(graph, |t| {
            let (_, offset) = graph.root(t);
            Ok(arena[offset..][..graph.info(t).elements()].to_vec())
        })
    }
}

/// The arenas that the optimizer keeps from step to step.
fn states(graph: &Graph) -> impl Iterator<Item = Tensor> + '_ {
    (0..graph.tensors.len() as u32).map(Tensor).filter(|t| graph.info(*t).role == Role::State)
}
