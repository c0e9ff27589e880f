//! A model in a graph: all of it, or of a model that translates the part that reads a text and the part that writes another.

use crate::error::Result;
use crate::ir::graph::{Graph, Role, Tensor, TensorInfo};
use crate::model::layers::entry::Reads;
use crate::model::layers::keys::Value;
use crate::model::layers::{Built, Input};
use crate::model::{Build, Mode, Model, Task};
use crate::ops::sequence::lengths::Lengths;
use std::collections::HashSet;

/// What a layer gave, and how many places of each text in it are tokens.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// What it gave.
    pub(crate) built: Built,
    /// How many places are tokens, `[batch]`; only of texts that may be filled up.
    pub(crate) lengths: Option<Tensor>,
}

/// The part of a model that writes a text, one token after the other, in a graph of its own.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The scores of the next token, [batch, 1, tokens].
    pub(crate) logits: Tensor,
    /// What it reads of the other part: places of layers there, and where their results are to be written.
    pub(crate) memories: Vec<(usize, Tensor)>,
    /// What its recurrences begin with: places of layers of the other part, and where their last states are to be written.
    pub(crate) begins: Vec<(usize, Vec<Tensor>)>,
    /// States of its recurrences that begin as zeros.
    pub(crate) zeros: Vec<Tensor>,
    /// How many tokens each text has that was read, `[batch]`.
    pub(crate) lengths: Tensor,
}

impl Model {
    /// Adds the whole model to the graph after x [batch, …] of the model's input and gives its outputs
    /// [batch, outputs], or [batch, height, width, classes]; `build` says what for.
    ///
    /// # Errors
    /// [`crate::Error::Input`] where x has another shape, the batch is too large, or [`Model::check`] would fail.
    pub fn build(&self, graph: &mut Graph, x: Tensor, build: Build) -> Result<Tensor> {
        self.check()?;
        if graph.shape(x).get(1..) != Some(&self.input[..]) {
            let expected = format!("expected a batch of {}", self.reads());
            return Err(self.says(format!("found an input of shape {}, {expected}", graph.info(x).shape)));
        }
        Ok(self.build_each(graph, x, build)?.last().map_or(x, |last| last.built.result))
    }

    /// Adds every layer after x, and gives what each gave.
    pub(crate) fn build_each(&self, graph: &mut Graph, x: Tensor, build: Build) -> Result<Vec<Given>> {
        let mut given = vec![None; self.layers.len()];
        self.build_rest(graph, Some(x), build, &mut given, |_| true)?;
        if let Some(lora) = &self.lora {
            lora.adapt(graph, &self.params()?)?;
        }
        Ok(given.into_iter().flatten().collect())
    }

    /// Whether each layer has to do with the text that is written, not only with the one that is read.
    pub(crate) fn writes(&self) -> Vec<bool> {
        let mut writes: Vec<bool> = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let of = |place: Option<usize>| place.is_some_and(|place| writes.get(place) == Some(&true));
            let found = layer.is::<Input>() || layer.places(index).into_iter().any(of);
            writes.push(found);
        }
        writes
    }

    /// Adds the part that reads a text x [batch, places], and gives what its layers gave.
    ///
    /// # Errors
    /// As [`Model::build`].
    pub(crate) fn build_reader(&self, graph: &mut Graph, x: Tensor, build: Build) -> Result<Vec<Option<Given>>> {
        let (writes, mut given) = (self.writes(), vec![None; self.layers.len()]);
        self.build_rest(graph, Some(x), build, &mut given, |index| !writes[index])?;
        Ok(given)
    }

    /// Adds the part that writes a text, for one token of each text, [batch, 1], in a graph without the other part.
    ///
    /// # Errors
    /// As [`Model::build`].
    pub(crate) fn build_writer(&self, graph: &mut Graph, token: Tensor, control: Tensor) -> Result<Writer> {
        let (writes, shapes) = (self.writes(), self.infer()?);
        let batch = graph.shape(token)[0];
        let lengths = graph.tensor(TensorInfo::words("lengths", [batch]).role(Role::Control));
        let (mut given, mut memories) = (vec![None; self.layers.len()], Vec::new());
        for (index, layer) in self.layers.iter().enumerate() {
            if layer.is::<Input>() {
                given[index] = Some(Given { built: token.into(), lengths: None });
                continue;
            }
            for place in layer.places(index).into_iter().flatten().filter(|place| writes[index] && !writes[*place]) {
                if given[place].is_none() {
                    let shape = [&[batch], &shapes[place].shape[..]].concat();
                    let info = TensorInfo::floats(format!("{place}.result"), crate::ir::graph::Shape(shape));
                    let memory = graph.tensor(info.role(Role::State));
                    memories.push((place, memory));
                    given[place] = Some(Given { built: memory.into(), lengths: Some(lengths) });
                }
            }
        }
        let build = Build { target: Some(token), ..Build::generation(control, self.written().unwrap_or(1)) };
        let (mut begins, mut zeros) = (Vec::new(), Vec::new());
        for index in (0..self.layers.len()).filter(|index| writes[*index]) {
            let before = graph.carried.len();
            self.build_rest(graph, None, build, &mut given, |at| at == index)?;
            let states: Vec<Tensor> = graph.carried[before..].iter().map(|(_, state)| *state).collect();
            match self.layers[index].state {
                Some(from) => begins.push((from, states)),
                None => zeros.extend(states),
            }
        }
        let last = given.pop().flatten().ok_or_else(|| self.says("found no layer that writes a text".into()))?;
        Ok(Writer { logits: last.built.result, memories, begins, zeros, lengths })
    }

    /// Adds those layers that are `wanted` and not given.
    fn build_rest(
        &self,
        graph: &mut Graph,
        x: Option<Tensor>,
        build: Build,
        given: &mut [Option<Given>],
        wanted: impl Fn(usize) -> bool,
    ) -> Result<()> {
        // A text that is continued has no end that is known.
        let is_whole = self.document_ends().is_some() && !matches!(build.mode, Mode::Generation | Mode::Prompt);
        let is_filled = self.text.is_some() && (self.task != Task::Next || self.translates() || is_whole);
        let lengths_of = |graph: &mut Graph, tokens: Tensor| -> Result<Option<Tensor>> {
            let found = is_filled.then(|| graph.apply(Lengths, &[tokens])).transpose()?;
            Ok(found.map(|found| found[0]))
        };
        let of_x = x.map(|x| lengths_of(graph, x)).transpose()?.flatten();
        let begun: HashSet<usize> = self.layers.iter().filter_map(|later| later.state).collect();
        for (index, layer) in self.layers.iter().enumerate() {
            if given[index].is_some() || !wanted(index) {
                continue;
            }
            let (mut inputs, mut lengths) = (Vec::new(), Vec::new());
            for place in layer.places(index) {
                let found = match place {
                    None => x.map(|x| (x, of_x)),
                    Some(place) => given.get(place).and_then(Option::as_ref).map(|g| (g.built.result, g.lengths)),
                };
                let missing = || self.error(layer.error(index, "found no result that it reads".into()));
                let (input, of) = found.ok_or_else(missing)?;
                inputs.push(input);
                lengths.push(of);
            }
            let states = layer.state.and_then(|from| given.get(from)?.as_ref());
            let states = states.map_or(Vec::new(), |from| from.built.states.clone());
            let ends = begun.contains(&index);
            let reads = Reads { x: &inputs, lengths: &lengths, states: &states, ends };
            let built = layer.build_whole(index, graph, reads, build).map_err(|error| self.error(error))?;
            let lengths = match layer.is::<Input>() {
                true => lengths_of(graph, built.result)?,
                false => lengths.first().copied().flatten(),
            };
            given[index] = Some(Given { built, lengths });
        }
        Ok(())
    }

    /// The most tokens that a model reads at a time which continues a text; none if recurrences alone read it.
    pub fn context(&self) -> Option<usize> {
        self.layers.iter().any(|layer| layer.is_bounded()).then(|| self.input[0])
    }

    /// Whether a recurrence carries its state from batch to batch of a text.
    pub fn carries(&self) -> bool {
        self.layers.iter().any(|layer| layer.carries())
    }

    /// The same model whose recurrences carry their states from batch to batch.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a model without recurrences, and one that continues no text.
    pub fn carrying(mut self) -> Result<Model> {
        for layer in &mut self.layers {
            if let Some(carrying) = layer.with("carry", Value::Flag(true)) {
                *layer = carrying;
            }
        }
        if !self.carries() {
            return Err(self.says("found no rnn, gru or lstm, expected one that can carry its state".into()));
        }
        self.check()?;
        Ok(self)
    }

    /// Whether what carries its state from batch to batch is part of a model that reads one text in order.
    pub(super) fn check_carry(&self) -> Result<()> {
        let Some(index) = self.layers.iter().position(|layer| layer.carries()) else { return Ok(()) };
        let layer = &self.layers[index];
        let wrong = |found: &str| {
            let why =
                format!("found carry = true {found}: expected it in a model that continues one text, such as char-rnn");
            Err(self.error(layer.error(index, why)))
        };
        if self.layers.iter().any(|layer| layer.carries() && layer.state.is_some()) {
            return wrong("and `state`, which both say what it begins with");
        }
        match self.task {
            Task::Next if !self.translates() => Ok(()),
            Task::Next => wrong("in a model that translates texts that have nothing to do with each other"),
            _ => wrong("in a model of samples that have nothing to do with each other"),
        }
    }

    /// Whether states go from recurrences to others that have as many.
    pub(super) fn check_states(&self) -> Result<()> {
        self.check_carry()?;
        for (index, layer) in self.layers.iter().enumerate() {
            let Some(state) = layer.state else { continue };
            let wrong = |why: String| self.error(layer.error(index, why));
            let Some(from) = self.layers.get(state).filter(|_| state < index) else {
                return Err(wrong(format!("found state = {state}, expected the place of an earlier layer")));
            };
            let begins = layer.begins().ok_or_else(|| {
                wrong("found `state`, expected it of a gru, lstm or rnn that is not bidirectional".into())
            })?;
            let kind = from.type_name();
            let ends = from.ends().ok_or_else(|| {
                wrong(format!("found layer {state} ({kind}) as its `state`, expected a gru, lstm or rnn"))
            })?;
            if begins != ends {
                return Err(wrong(format!("found {begins}, and a state of {ends}: expected as many of both")));
            }
        }
        Ok(())
    }
}
