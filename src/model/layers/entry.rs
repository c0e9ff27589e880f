//! A layer in a model's list, with the earlier results that it reads.

use crate::error::{Error, Result, in_context};
use crate::ir::graph::{Graph, Shape, Tensor};
use crate::model::Build;
use crate::model::layers::keys::Value;
use crate::model::layers::params::{Inferred, ParamSpec};
use crate::model::layers::{Built, Input, Inputs, LARGEST, Layer, LayerType, check_elements, elements, named};
use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;

/// A layer in a model's list.
#[derive(Clone, Debug)]
pub struct LayerEntry {
    /// The layer.
    pub layer: Arc<dyn Layer>,
    /// Places of the earlier layers whose results it reads. A layer of one input reads that one in place of the result
    /// before it; one that [joins](Layer::joins) reads the result before it, and then these. Empty for the result before
    /// alone.
    pub from: Vec<usize>,
    /// The place of an earlier layer, a recurrence, whose last states this one begins with.
    pub state: Option<usize>,
    /// The place of an earlier layer, an embedding, whose weight is also that of this one.
    pub tied: Option<usize>,
    /// Whether a layer that joins reads the results of `from` alone, in their order: the key `of` of files.
    pub alone: bool,
    /// The name of the PyTorch module whose weights it has, such as `layer1.0.conv1`.
    pub module: Option<String>,
}

/// What a layer in a list reads of what the graph has so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reads<'a> {
    /// The results that it reads.
    pub(crate) x: &'a [Tensor],
    /// How many places of each text are tokens, of each result.
    pub(crate) lengths: &'a [Option<Tensor>],
    /// The states that it begins with.
    pub(crate) states: &'a [Tensor],
    /// Whether another layer begins with those that it ends in.
    pub(crate) ends: bool,
}

impl<L: Layer> From<L> for LayerEntry {
    /// A layer that reads the result before it.
    fn from(layer: L) -> Self {
        LayerEntry::from_arc(Arc::new(layer))
    }
}

impl Deref for LayerEntry {
    type Target = dyn Layer;

    fn deref(&self) -> &Self::Target {
        &*self.layer
    }
}

impl PartialEq for LayerEntry {
    /// Layers that files can describe are equal where their descriptions are, all others where they are one.
    fn eq(&self, other: &Self) -> bool {
        let same = match (self.layer.values(), other.layer.values()) {
            (Some(own), Some(others)) => self.type_name() == other.type_name() && own == others,
            (None, None) => Arc::ptr_eq(&self.layer, &other.layer),
            _ => false,
        };
        let reads = |entry: &LayerEntry| (entry.from.clone(), entry.alone, entry.state, entry.tied);
        same && reads(self) == reads(other) && self.module == other.module
    }
}

impl LayerEntry {
    /// The same layer, which reads the results of these earlier layers.
    pub fn reading(self, from: impl Into<Vec<usize>>) -> Self {
        LayerEntry { from: from.into(), ..self }
    }

    /// The same layer, which begins with the last states of this earlier one.
    pub fn beginning_at(self, state: usize) -> Self {
        LayerEntry { state: Some(state), ..self }
    }

    /// The same layer, whose weight is that of this earlier embedding.
    pub fn tied_to(self, embedding: usize) -> Self {
        LayerEntry { tied: Some(embedding), ..self }
    }

    /// The same layer, one that joins, which reads the results of these earlier layers and no other.
    pub fn joining(self, of: impl Into<Vec<usize>>) -> Self {
        LayerEntry { from: of.into(), alone: true, ..self }
    }

    /// The same layer with the weights of a PyTorch module of this name.
    pub fn of_module(self, name: impl Into<String>) -> Self {
        LayerEntry { module: Some(name.into()), ..self }
    }

    /// A layer that reads the result before it.
    pub fn from_arc(layer: Arc<dyn Layer>) -> Self {
        LayerEntry { layer, from: Vec::new(), state: None, tied: None, alone: false, module: None }
    }

    /// This many copies one after the other: the first reads what this one does, the others the copy before them, and what
    /// they join with it.
    pub fn repeated(self, count: usize) -> impl Iterator<Item = Self> {
        let from = if self.layer.joins() { self.from.clone() } else { Vec::new() };
        let after = LayerEntry { from, ..self.clone() };
        std::iter::once(self).chain(std::iter::repeat_n(after, count.saturating_sub(1)))
    }

    /// The layer as what it is, where it is an `L`.
    pub fn get<L: Layer>(&self) -> Option<&L> {
        (&*self.layer as &dyn Any).downcast_ref()
    }

    /// Whether the layer is an `L`.
    pub fn is<L: Layer>(&self) -> bool {
        self.get::<L>().is_some()
    }

    /// Its type and the values of its keys, where files can describe it.
    pub fn stored(&self) -> Option<(&'static LayerType, Vec<Value>)> {
        let (kind, values) = (named(self.type_name())?, self.layer.values()?);
        (kind.keys.len() == values.len()).then_some((kind, values))
    }

    /// The layer with another value of one of its keys; `None` if it has no such key.
    pub fn with(&self, key: &str, value: Value) -> Option<Self> {
        let (kind, values) = self.stored()?;
        let at = kind.keys.iter().position(|known| known.name == key)?;
        let mut values: Vec<Option<Value>> = values.into_iter().map(Some).collect();
        values[at] = Some(value);
        Some(LayerEntry { layer: kind.make(&values)?, ..self.clone() })
    }

    /// Places of the layers whose results it reads, in the order of its inputs; `None` is the input of the model.
    pub(crate) fn places(&self, index: usize) -> Vec<Option<usize>> {
        // A second input is as long as the first asks for, and reads no result.
        if self.is::<Input>() {
            return vec![None];
        }
        let joins = self.layer.joins() && !self.alone;
        let before = (self.from.is_empty() || joins).then(|| index.checked_sub(1));
        before.into_iter().chain(self.from.iter().copied().map(Some)).collect()
    }

    /// The inputs of this layer among the results of earlier layers; `input` is the model's.
    pub(crate) fn inputs<'a, T>(&self, index: usize, input: &'a T, earlier: &'a [T]) -> Result<Vec<&'a T>> {
        let one = |place: Option<usize>| match place {
            None => Ok(input),
            Some(from) => earlier.get(from).ok_or_else(|| {
                self.error(index, format!("found from = {from}, expected the place of an earlier layer"))
            }),
        };
        self.places(index).into_iter().map(one).collect()
    }

    /// The shape of its result and its parameters, for one sample whose inputs have these shapes. `index` is its place in
    /// the list of layers, which names of parameters begin with.
    ///
    /// # Errors
    /// [`Error::Input`] if the layer does not fit its inputs or the value of a key is not what it must be.
    pub fn infer(&self, index: usize, inputs: &[&[usize]]) -> Result<Inferred> {
        let mut inferred = self.checked(inputs).map_err(|why| self.error(index, why))?;
        // A weight that is tied is a parameter of the other layer.
        if self.tied.is_some() {
            inferred.params.remove(0);
        }
        let named = |param: ParamSpec| ParamSpec { name: format!("{index}.{}", param.name), ..param };
        Ok(Inferred { params: inferred.params.into_iter().map(named).collect(), ..inferred })
    }

    /// The weight that it would have itself if it were not tied.
    ///
    /// # Errors
    /// As [`LayerEntry::infer`].
    pub(crate) fn tied_weight(&self, index: usize, inputs: &[&[usize]]) -> Result<ParamSpec> {
        let inferred = self.checked(inputs).map_err(|why| self.error(index, why))?;
        inferred.params.into_iter().next().ok_or_else(|| self.error(index, "found no weight that can be tied".into()))
    }

    fn checked(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        if let Some((kind, values)) = self.stored() {
            kind.keys.iter().zip(values).try_for_each(|(key, value)| key.kind.check(key.name, value))?;
        }
        if let Some(input) = inputs.iter().find(|input| elements(input).is_none()) {
            return Err(format!("found an input of {input:?}, expected 1 to {LARGEST} elements"));
        }
        match (inputs.len(), self.layer.joins()) {
            (1, false) | (2.., true) => {}
            (count, true) => return Err(format!("found {count} result to join, expected two or more")),
            (count, false) => return Err(format!("found {count} results to read, expected one")),
        }
        let inferred = self.layer.infer(inputs)?;
        if self.tied.is_some() && (inferred.params.is_empty() || !self.layer.may_tie()) {
            return Err("found `tied`, expected it of a dense layer".into());
        }
        check_elements("a result", &inferred.shape)?;
        inferred.params.iter().try_for_each(|param| check_elements("weights", &param.file_shape))?;
        Ok(inferred)
    }

    /// Adds the ops of this layer, and its parameters, after `inputs`: [batch, H, W, C] or [batch, features]. `build`
    /// says whether for training or for inference.
    ///
    /// # Errors
    /// [`Error::Input`] as [`LayerEntry::infer`] says, and where the batch makes the result too large.
    pub fn build(&self, index: usize, graph: &mut Graph, inputs: &[Tensor], build: Build) -> Result<Tensor> {
        let reads = Reads { x: inputs, ..Reads::default() };
        Ok(self.build_whole(index, graph, reads, build)?.result)
    }

    /// [`LayerEntry::build`], and what else others may ask of the layer.
    ///
    /// # Errors
    /// As [`LayerEntry::build`].
    pub(crate) fn build_whole(&self, index: usize, graph: &mut Graph, reads: Reads, build: Build) -> Result<Built> {
        let Reads { x: inputs, lengths, states, ends } = reads;
        let found: Vec<Vec<usize>> = inputs.iter().map(|&x| graph.shape(x).to_vec()).collect();
        let batches: Option<Vec<usize>> = found.iter().map(|shape| shape.first().copied()).collect();
        let batch = match batches.as_deref() {
            Some(&[batch, ref others @ ..]) if others.iter().all(|&other| other == batch) => batch,
            _ => return Err(self.error(index, format!("found inputs of {found:?}, expected batches of one size"))),
        };
        let samples: Vec<&[usize]> = found.iter().map(|shape| &shape[1..]).collect();
        let Inferred { shape, params } = self.infer(index, &samples)?;
        let shape = [vec![batch], shape].concat();
        if elements(&shape).is_none() || found.iter().any(|input| elements(input).is_none()) {
            let found = found.iter().map(|input| format!("{input:?}")).collect::<Vec<_>>().join(" and ");
            let why = format!("found a batch that takes {found} to {shape:?}, expected 1 to {LARGEST} elements");
            return Err(self.error(index, why));
        }
        let add = |param: &ParamSpec| {
            let tensor = graph.param(param.name.clone(), Shape(param.file_shape.clone()), param.layout());
            if param.running {
                graph.make_running(tensor);
            }
            tensor
        };
        let mut params: Vec<Tensor> = params.iter().map(add).collect();
        if let Some(tied) = self.tied {
            let name = format!("{tied}.weight");
            let found = graph.params.iter().find(|param| param.name == name).map(|param| param.tensor);
            let missing =
                || self.error(index, format!("found no weight of layer {tied} in its graph, to which it is tied"));
            params.insert(0, found.ok_or_else(missing)?);
        }
        let at = Inputs { index, x: inputs, lengths, states, ends, params: &params, shape: &shape, build };
        let built = self.layer.build_whole(graph, &at).map_err(|error| in_context(&self.place(index), error))?;
        match graph.shape(built.result) == shape {
            true => Ok(built),
            false => {
                let found = graph.shape(built.result);
                Err(self.error(index, format!("found a result of {found:?}, expected {shape:?} as it infers")))
            }
        }
    }

    fn place(&self, index: usize) -> String {
        format!("layer {index} ({})", self.type_name())
    }

    pub(crate) fn error(&self, index: usize, why: String) -> Error {
        Error::input(format!("{}: {why}", self.place(index)))
    }
}
