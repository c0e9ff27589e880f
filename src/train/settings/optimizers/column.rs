//! The entry of an optimizer: its states, its defaults, and the op that updates the weights.

use crate::error::Result;
use crate::ir::freeze::Run;
use crate::ir::graph::{Graph, Role, Tensor, TensorInfo};
use crate::ir::op::Op;
use crate::ops::optim::scale_rate::ScaleRate;
use crate::step::control::Control;
use std::sync::Arc;

/// An optimizer. Each file of this folder has one, and a line of the table in `mod.rs`.
#[derive(Debug)]
pub struct Column {
    /// The name, as `--optimizer` takes it.
    pub name: &'static str,
    /// Its text in `--help`.
    pub about: &'static str,
    /// Its states in the order of the op's results; each has an element for every trained parameter and begins at 0.
    /// Checkpoints hold them by these names.
    pub states: &'static [&'static str],
    /// The settings that it takes, with the values that hold where none are given.
    pub defaults: Defaults,
    /// Whether its averages, which begin at 0, are divided by 1 - βᵗ (Adam's bias correction).
    pub corrects_bias: bool,
    /// The op. Its arguments are the control block and the gradients; it updates the parameters, the states and the fault.
    pub op: fn(&Constants) -> Arc<dyn Op>,
    /// One element's new parameter and states in double precision, written once more from the paper: the contract test
    /// holds the op to it.
    #[cfg(test)]
    pub formula: super::tests::Formula,
}

/// The settings that an optimizer takes; `None` is one that it refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defaults {
    /// The learning rate.
    pub lr: f64,
    /// The weight decay.
    pub weight_decay: f64,
    /// How much of the last velocity stays.
    pub momentum: Option<f64>,
    /// Whether the momentum is Nesterov's.
    pub nesterov: Option<bool>,
    /// β₁ and β₂.
    pub betas: Option<[f64; 2]>,
    /// ε.
    pub epsilon: Option<f64>,
    /// ρ.
    pub rho: Option<f64>,
}

impl Defaults {
    /// A learning rate and weight decay alone.
    pub const fn new(lr: f64, weight_decay: f64) -> Defaults {
        Defaults { lr, weight_decay, momentum: None, nesterov: None, betas: None, epsilon: None, rho: None }
    }
}

/// The settings in force; 0 where the optimizer does not have them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// The weight decay.
    pub weight_decay: f64,
    /// How much of the last velocity stays.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// β₁ and β₂.
    pub betas: [f64; 2],
    /// ε.
    pub epsilon: f64,
    /// ρ.
    pub rho: f64,
}

/// An optimizer with the settings in force.
#[derive(Clone, Copy, Debug)]
pub struct Optimizer {
    /// Which one.
    pub column: &'static Column,
    /// Its settings.
    pub constants: Constants,
}

impl Optimizer {
    /// β₁ and β₂ for the bias corrections; 0 if there are none.
    pub fn betas(&self) -> [f64; 2] {
        if self.column.corrects_bias { self.constants.betas } else { [0.0; 2] }
    }

    /// Adds the states, each with `elements` elements, and an update of every run of parameters; `control` is the
    /// control block that updates go by.
    ///
    /// # Errors
    /// [`crate::Error::Input`] if the op refuses its arguments.
    pub(in crate::train) fn update(
        &self,
        graph: &mut Graph,
        [control, fault]: [Tensor; 2],
        runs: &[Run],
        elements: usize,
    ) -> Result<()> {
        let state = |name: &&str| graph.tensor(TensorInfo::floats(*name, [elements]).role(Role::State));
        let states: Vec<Tensor> = self.column.states.iter().map(state).collect();
        let mut scaled: Vec<(f64, Tensor)> = Vec::new();
        for run in runs {
            let control = control_of(graph, control, run.group.rate, &mut scaled)?;
            let parts = states.iter().map(|&state| graph.part(state, run.offset, run.elements));
            let mut updated = vec![run.params];
            updated.extend(parts);
            updated.push(fault);
            let weight_decay = if run.group.decays { self.constants.weight_decay } else { 0.0 };
            let constants = Constants { weight_decay, ..self.constants };
            graph.update_arc((self.column.op)(&constants), &[control, run.grads], &updated)?;
        }
        Ok(())
    }
}

/// The control block of a group whose rate is multiplied by `factor`; each factor has one, once.
fn control_of(graph: &mut Graph, control: Tensor, factor: f64, known: &mut Vec<(f64, Tensor)>) -> Result<Tensor> {
    if factor == 1.0 {
        return Ok(control);
    }
    if let Some((_, scaled)) = known.iter().find(|(of, _)| *of == factor) {
        return Ok(*scaled);
    }
    let scaled = graph.tensor(TensorInfo::words("control of a group", [Control::WORDS]).role(Role::Control));
    graph.update(ScaleRate { factor }, &[control], &[scaled])?;
    known.push((factor, scaled));
    Ok(scaled)
}
