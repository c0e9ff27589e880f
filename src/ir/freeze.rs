//! Frozen parameters: those that training does not change, and the parts of the arenas that it does change.

use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Param, Tensor, TensorInfo, View};
use crate::suggest;

/// Neighbours in the weight file that are trained together: one dispatch of the optimizer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Their elements in the arena of parameters.
    pub params: Tensor,
    /// Their elements in the arena of gradients.
    pub grads: Tensor,
    /// The first of their elements in the arena of gradients, and so in the optimizer's state.
    pub offset: usize,
    /// How many elements they are, gaps of the alignment included.
    pub elements: usize,
    /// What holds for them.
    pub group: Group,
}

/// What holds for some parameters and not for others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Whether weight decay does.
    pub decays: bool,
    /// What their learning rate is multiplied by.
    pub rate: f64,
}

impl Graph {
    /// Freezes parameters, before `backward`: their gradients are then not computed, and no optimizer updates them.
    /// Each name is a layer's in the weight file, such as `0`, or a parameter's, such as `0.bias`.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that no parameter has, and where nothing is left to train.
    pub fn freeze(&mut self, names: &[String]) -> Result<()> {
        for at in self.params_of("freeze", names)? {
            self.params[at].frozen = true;
        }
        match self.params.iter().any(|param| !param.frozen) {
            true => Ok(()),
            false => Err(Error::input(format!("freeze {}: nothing is left to train", names.join(",")))),
        }
    }

    /// The places of parameters by such names; `setting` is what errors say.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that no parameter has.
    pub fn params_of(&self, setting: &str, names: &[String]) -> Result<Vec<usize>> {
        let layer = |name: &str| name.split_once('.').map_or(name, |(layer, _)| layer).to_string();
        let mut all = Vec::new();
        for name in names {
            let within = |param: &str| param.strip_prefix(&**name).is_some_and(|rest| rest.starts_with('.'));
            let fits = |at: &usize| self.params[*at].name == *name || within(&self.params[*at].name);
            let before = all.len();
            all.extend((0..self.params.len()).filter(fits));
            if all.len() == before {
                let mut known: Vec<String> = self.params.iter().map(|param| layer(&param.name)).collect();
                known.dedup();
                let whole: Vec<&str> = known.iter().map(|name| &**name).collect();
                let others = ", the layers that have weights, or a weight's own name such as 0.bias";
                return Err(Error::input(format!("{setting}: {}", suggest::unknown("layer", name, &whole, others))));
            }
        }
        Ok(all)
    }

    /// The trained parameters, each with the first of its elements in the arena of gradients, and so in the optimizer's
    /// state.
    pub fn trained_params(&self) -> impl Iterator<Item = (&Param, usize)> {
        self.params.iter().filter(|param| !param.frozen).scan(0, |at, param| {
            let offset = *at;
            *at += self.aligned(param.tensor);
            Some((param, offset))
        })
    }

    /// The runs of trained parameters in the two arenas that `arenas` gave; where nothing is frozen and all are of one
    /// group there is one, the whole of both. `group` gives that of a parameter and its place.
    pub fn trained(&mut self, [params, grads]: [Tensor; 2], group: impl Fn(&Param, usize) -> Group) -> Vec<Run> {
        let mut spans: Vec<([usize; 3], Group)> = Vec::new();
        let mut of = 0;
        for (place, (param, at)) in self.params.iter().zip(self.arena_offsets().0).enumerate() {
            let elements = self.aligned(param.tensor);
            if !param.frozen {
                let group = group(param, place);
                match spans.last_mut() {
                    Some(([from, _, length], same)) if *from + *length == at && *same == group => *length += elements,
                    _ => spans.push(([at, of, elements], group)),
                }
                of += elements;
            }
        }
        let run = |([from, offset, elements], group): ([usize; 3], Group)| Run {
            params: self.part(params, from, elements),
            grads: self.part(grads, offset, elements),
            offset,
            elements,
            group,
        };
        spans.into_iter().map(run).collect()
    }

    /// `elements` elements of a tensor of one axis, from `offset` on: a view, or the tensor itself where they are all.
    pub fn part(&mut self, of: Tensor, offset: usize, elements: usize) -> Tensor {
        let TensorInfo { name, shape, role, .. } = self.info(of).clone();
        if shape.elements() == elements {
            return of;
        }
        self.tensor(TensorInfo { view: Some(View { of, offset }), ..TensorInfo::floats(name, [elements]).role(role) })
    }
}
