//! From a trainer to a checkpoint and back: what the device holds, in the order of files.

use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Role, Tensor, TensorInfo};
use crate::ir::values::Values;
use crate::model::formats::weights::{EMA, NamedTensor, Weights};
use crate::step::control::Control;
use crate::train::epochs::trainer::Trainer;
use crate::train::state::checkpoint::{Checkpoint, State};

impl Trainer {
    /// The weights that the run would leave now, in the weight file's order: their average, where one is kept.
    pub async fn weights(&self) -> Result<Weights> {
        self.weights_in(self.step.final_weights()).await
    }

    /// The weights that are trained, as they are now.
    pub(in crate::train) async fn raw_weights(&self) -> Result<Weights> {
        self.weights_in(self.step.params).await
    }

    /// The weights in an arena that is laid out as the parameters are.
    async fn weights_in(&self, arena: Tensor) -> Result<Weights> {
        let arena = self.floats(arena).await?;
        let graph = &self.step.graph;
        Weights::from_params(graph.params.iter().map(|param| {
            let (_, offset) = graph.root(param.tensor);
            (param, &arena[offset..][..graph.info(param.tensor).elements()])
        }))
    }

    /// Everything that the run needs to go on from here. No step may be in flight: `fit` leaves none.
    ///
    /// # Errors
    /// [`Error::Failed`] if the device fails.
    pub async fn checkpoint(&self) -> Result<Checkpoint> {
        self.checkpoint_with(self.raw_weights().await?).await
    }

    /// `checkpoint`, with the trained weights of now.
    pub(in crate::train) async fn checkpoint_with(&self, weights: Weights) -> Result<Checkpoint> {
        let Values::Word(control) = self.engine.read(self.step.control).await? else {
            return Err(Error::failed("the control block is not words"));
        };
        let graph = &self.step.graph;
        let mut optimizer = Vec::new();
        for tensor in states(graph) {
            if Some(tensor) == self.step.ema {
                optimizer.push((EMA.into(), self.weights_in(tensor).await?));
                continue;
            }
            let state = self.floats(tensor).await?;
            let members = graph.trained_params();
            let members = members.map(|(param, at)| (param, &state[at..][..graph.info(param.tensor).elements()]));
            optimizer.push((graph.info(tensor).name.clone(), Weights::from_params(members)?));
        }
        let mut carried = Vec::new();
        for (_, state) in &graph.carried {
            let (name, shape) = (graph.info(*state).name.clone(), graph.shape(*state).to_vec());
            carried.push(NamedTensor { name, shape, values: self.floats(*state).await? });
        }
        let (progress, options) = (self.progress.clone(), self.options.clone().resolved());
        let state = State::new(Control::read(&control), progress, options, self.data.clone(), self.device.clone())?;
        Ok(Checkpoint { model: self.model.clone(), weights, optimizer, carried, state })
    }

    /// Goes on from a checkpoint: `fit` then does what the run that wrote it would have done.
    ///
    /// # Errors
    /// [`Error::Input`] if it belongs to another model, other settings (their length apart) or other data.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let Checkpoint { model, weights, optimizer, carried, state } = checkpoint;
        if *model != self.model {
            let (found, expected) = (&model.name, &self.model.name);
            return Err(Error::input(format!(
                "the checkpoint has the model {found}, expected {expected} and the same layers"
            )));
        }
        state.check(&self.options, &self.data)?;
        let samples = self.data.samples[0];
        let begun = state.options.rates(samples);
        let start = self.step.start(self.options.seed, begun.at(0), self.options.optimizer().betas());
        let mut control = state.control(start)?;
        // A run that is made longer takes the rates of its new length from here on.
        let rates = self.options.rates(samples);
        if rates != begun {
            let losses = state.progress.val_losses();
            control.rate = self.options.rate_at(samples, control.step.into(), losses) as f32;
        }
        let graph = self.step.graph.clone();
        // A file has them by name.
        let mut names: Vec<&str> = states(&graph).map(|t| graph.info(t).name.as_str()).collect();
        let mut found: Vec<&str> = optimizer.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        found.sort_unstable();
        if found != names {
            return Err(Error::input(format!("the checkpoint has the optimizer's {found:?}, expected {names:?}")));
        }
        let states_carried = carried_states(&graph, carried)?;
        // With the gaps between them, which a step that went wrong may have written to.
        self.engine.write(self.step.params, arena(&graph, self.step.params, &weights.to_graph(&graph)?))?;
        for tensor in states(&graph) {
            let name = &graph.info(tensor).name;
            let Some((_, weights)) = optimizer.iter().find(|(found, _)| found == name) else { continue };
            if Some(tensor) == self.step.ema {
                self.engine.write(tensor, arena(&graph, self.step.params, &weights.to_graph(&graph)?))?;
                continue;
            }
            let mut state = vec![0.0; graph.info(tensor).elements()];
            for (param, at) in graph.trained_params() {
                let values = weights.to_param(param)?;
                state[at..][..values.len()].copy_from_slice(&values);
            }
            self.engine.write(tensor, Values::Float(state))?;
        }
        for (tensor, values) in states_carried {
            self.engine.write(tensor, Values::Float(values))?;
        }
        self.engine.write(self.step.control, Values::Word(control.words()))?;
        self.engine.write(self.step.fault, Values::Word(vec![0]))?;
        self.engine.restart_at(state.progress.step);
        self.feed.iter_mut().for_each(|feed| feed.restart_at(state.progress.step));
        self.progress = state.progress.clone();
        Ok(())
    }

    /// Sees to it that the control block has the rate that the validation losses so far lead to, where the schedule goes
    /// by them. No step may be in flight.
    pub(in crate::train) async fn settle_rate(&mut self) -> Result<()> {
        let Some(plateau) = self.options.plateau() else { return Ok(()) };
        let rate = plateau.rate(self.progress.val_losses()) as f32;
        let Values::Word(words) = self.engine.read(self.step.control).await? else {
            return Err(Error::failed("the control block is not words"));
        };
        let control = Control::read(&words);
        match control.rate == rate {
            true => Ok(()),
            false => self.engine.write(self.step.control, Values::Word(Control { rate, ..control }.words())),
        }
    }

    /// Takes weights that are to be left in place of the last step's; no further steps may follow.
    pub(in crate::train) fn leave(&mut self, weights: &Weights) -> Result<()> {
        let graph = &self.step.graph;
        let arena = arena(graph, self.step.params, &weights.to_graph(graph)?);
        self.engine.write(self.step.final_weights(), arena)
    }

    async fn floats(&self, tensor: Tensor) -> Result<Vec<f32>> {
        match self.engine.read(tensor).await? {
            Values::Float(values) => Ok(values),
            _ => Err(Error::failed(format!("{} are not floats", self.step.graph.info(tensor).name))),
        }
    }
}

/// Parameters in the arena that `params` is, each at its place.
pub(in crate::train) fn arena(graph: &Graph, params: Tensor, weights: &[(Tensor, Vec<f32>)]) -> Values {
    let mut arena = vec![0.0; graph.info(params).elements()];
    for (tensor, values) in weights {
        arena[graph.root(*tensor).1..][..values.len()].copy_from_slice(values);
    }
    Values::Float(arena)
}

/// The states of recurrences in a checkpoint, each for its tensor.
///
/// # Errors
/// [`Error::Input`] if one is missing or has another shape, or there are others.
fn carried_states(graph: &Graph, found: &[NamedTensor]) -> Result<Vec<(Tensor, Vec<f32>)>> {
    let described = |name: &str, shape: &[usize]| format!("{name} {shape:?}");
    let listed = |mut all: Vec<String>| {
        all.sort_unstable();
        all
    };
    let states = graph.carried.iter().map(|(_, state)| *state);
    let expected = listed(states.clone().map(|t| described(&graph.info(t).name, graph.shape(t))).collect());
    let has = listed(found.iter().map(|t| described(&t.name, &t.shape)).collect());
    if has != expected {
        return Err(Error::input(format!("the checkpoint has the carried states {has:?}, expected {expected:?}")));
    }
    let values =
        |t: Tensor| found.iter().find(|found| found.name == graph.info(t).name).map(|found| found.values.clone());
    Ok(states.filter_map(|t| Some((t, values(t)?))).collect())
}

/// The arenas that the optimizer keeps from step to step.
fn states(graph: &Graph) -> impl Iterator<Item = Tensor> + '_ {
    let whole = |info: &TensorInfo| info.role == Role::State && info.view.is_none();
    let all = (0..graph.tensors.len() as u32).map(Tensor);
    all.filter(move |t| whole(graph.info(*t)) && !graph.is_carried(*t))
}
