//! Frozen parameters: those that training does not change, and the parts of the arenas that it does change.

use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Param, Tensor, TensorInfo, View};
use crate::suggest;

/// Neighbours in the weight file that are trained together: one dispatch of the optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Their elements in the arena of parameters.
    pub params: Tensor,
    /// Their elements in the arena of gradients.
    pub grads: Tensor,
    /// The first of their elements in the arena of gradients, and so in the optimizer's state.
    pub offset: usize,
    /// How many elements they are, gaps of the alignment included.
    pub elements: usize,
    /// Whether weight decay holds for them.
    pub decays: bool,
}

impl Graph {
    /// Freezes parameters, before `backward`: their gradients are then not computed, and no optimizer updates them.
    /// Each name is a layer's in the weight file, such as `0`, or a parameter's, such as `0.bias`.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that no parameter has, and where nothing is left to train.
    pub fn freeze(&mut self, names: &[String]) -> Result<()> {
        let layer = |name: &str| name.split_once('.').map_or(name, |(layer, _)| layer).to_string();
        for name in names {
            let within = |param: &str| param.strip_prefix(&**name).is_some_and(|rest| rest.starts_with('.'));
            let fits = |param: &str| param == name || within(param);
            let mut found = self.params.iter_mut().filter(|param| fits(&param.name)).peekable();
            if found.peek().is_none() {
                let mut known: Vec<String> = self.params.iter().map(|param| layer(&param.name)).collect();
                known.dedup();
                let whole: Vec<&str> = known.iter().map(|name| &**name).collect();
                let others = ", the layers that have weights, or a weight's own name such as 0.bias";
                return Err(Error::input(format!("freeze: {}", suggest::unknown("layer", name, &whole, others))));
            }
            found.for_each(|param| param.frozen = true);
        }
        match self.params.iter().any(|param| !param.frozen) {
            true => Ok(()),
            false => Err(Error::input(format!("freeze {}: nothing is left to train", names.join(",")))),
        }
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

    /// The runs of trained parameters in the two arenas that `arenas` gave; where nothing is frozen and all decay there is one,
    /// the whole of both.
    pub fn trained(&mut self, [params, grads]: [Tensor; 2], decays: impl Fn(&Param) -> bool) -> Vec<Run> {
        let mut spans: Vec<([usize; 3], bool)> = Vec::new();
        let mut of = 0;
        for (param, at) in self.params.iter().zip(self.arena_offsets().0) {
            let elements = self.aligned(param.tensor);
            if !param.frozen {
                let decays = decays(param);
                match spans.last_mut() {
                    Some(([from, _, length], same)) if *from + *length == at && *same == decays => *length += elements,
                    _ => spans.push(([at, of, elements], decays)),
                }
                of += elements;
            }
        }
        let run = |([from, offset, elements], decays): ([usize; 3], bool)| Run {
            params: self.part(params, from, elements),
            grads: self.part(grads, offset, elements),
            offset,
            elements,
            decays,
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
