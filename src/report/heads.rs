//! Attention maps: what each head of each attention looks at, for the first sample of the test set.

use super::inside::Inside;
use super::passages::{filled, ran, text};
use super::picture::Picture;
use crate::data::Split;
use crate::data::schema::{TARGET, TEXT};
use crate::device::cpu::Executor;
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, TensorInfo};
use crate::ir::op::In;
use crate::ir::values::Values;
use crate::model::layers::{Tokens, Transformer};
use crate::model::{Build, Model, Weights};
use crate::ops::attention::attention::Attention;
use crate::text::{NO_TOKEN, Tokenizer};
use serde::Serialize;
use std::any::Any;

/// Tokens of a text that are shown at most.
const TOKENS: usize = 40;

/// What the heads of a net look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Heads {
    /// The image that the net read; none of a text.
    pub picture: Option<Picture>,
    /// The names of the tokens that it read; none of an image.
    pub read: Vec<String>,
    /// The names of the tokens that it was given to write after, of a translation.
    pub written: Vec<String>,
    /// The attentions in their order.
    pub layers: Vec<Layer>,
}

/// The attention of a layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// Its number, from 1.
    pub number: usize,
    /// Whether what looks is what is written; otherwise it is what is read.
    pub writes: bool,
    /// Whether what is read is looked at; otherwise what was written so far.
    pub reads: bool,
    /// A map for each head. Of a text the square roots of the weights [tokens that look, tokens that are looked at], on a scale
    /// from 0 to 1; of an image [height, width] of its patches, how much the mean patch looks at each, on a scale to the largest.
    pub maps: Vec<Picture>,
    /// The largest weight of each map.
    pub largest: Vec<f32>,
}

/// The maps of a net with transformer blocks for the first sample of a split; none of another net, or without samples.
/// Computed on the native CPU.
///
/// # Errors
/// [`Error::Input`] for weights that do not fit, and too little memory.
pub fn heads(model: &Model, weights: &Weights, test: &Split) -> Result<Option<Heads>> {
    if test.count == 0 || !model.layers.iter().any(|layer| layer.is::<Transformer>()) || model.reads_table() {
        return Ok(None);
    }
    let found = match &model.text {
        Some(known) => of_text(model, weights, known, test)?,
        None => of_image(model, weights, test)?,
    };
    Ok(Some(found).filter(|found| !found.layers.is_empty()))
}

fn of_text(model: &Model, weights: &Weights, known: &Tokenizer, test: &Split) -> Result<Heads> {
    let column = |name| test.column(name).ok_or_else(|| Error::input(format!("the data has no field {name}")));
    let field = column(TEXT)?;
    let named = |tokenizer: &Tokenizer, tokens: &[u32]| {
        let name = |token: &u32| tokenizer.tokens().get(*token as usize).cloned().unwrap_or_default();
        tokens.iter().map(name).collect::<Vec<String>>()
    };
    // A stream is read as far as is shown; any other text whole, filled up to the model's places.
    let (mut read, places) = match field.field().stream {
        Some(all) => {
            let read: Vec<u32> = field.words(0..test.count).take(all.min(TOKENS).min(model.input[0])).collect();
            let places = read.len();
            (read, places)
        }
        None => (text(field, 0), model.input[0]),
    };
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::words("text", [1, places]));
    let mut given = vec![(x, filled(&read, places))];
    let (mut target, mut written, mut names) = (None, Vec::new(), Vec::new());
    if model.translates() {
        let (into, steps) = (model.target_tokenizer()?, model.written().unwrap_or(1));
        let [begin, _] = into.ends().unwrap_or([NO_TOKEN; 2]);
        // Each token is given those before it: its end is given to none.
        let target_text = text(column(TARGET)?, 0);
        written = [&[begin], &target_text[..target_text.len().saturating_sub(1)]].concat();
        let y = graph.tensor(TensorInfo::words("target", [1, steps]));
        given.push((y, filled(&written, steps)));
        target = Some(y);
        written.truncate(steps.min(TOKENS));
        names = named(into, &written);
    }
    read.truncate(places.min(TOKENS));
    let model = Model { input: vec![places], ..model.clone() };
    model.build(&mut graph, x, Build { target, ..Build::INFERENCE })?;
    let executor = ran(graph, weights, given)?;
    let lengths = |writes: bool| if writes { written.len() } else { read.len() };
    let layers = layers(&executor, target.is_some(), |layer, [_, keys], map| {
        let [rows, columns] = [lengths(layer.writes), lengths(!layer.reads)];
        let map: Vec<f32> = map.chunks(keys).take(rows).flat_map(|row| &row[..columns]).copied().collect();
        // The first token looks at itself alone: on an even scale all that follows it would be pale.
        let roots: Vec<f32> = map.iter().map(|weight| weight.sqrt()).collect();
        Some((largest(&map), Picture::positive(&roots, [rows, columns], 1.0)))
    })?;
    Ok(Heads { picture: None, read: named(known, &read), written: names, layers })
}

fn of_image(model: &Model, weights: &Weights, test: &Split) -> Result<Heads> {
    let pixels = test.image(0)?;
    let mut inside = Inside::<f32>::new(model)?;
    inside.set_weights(weights)?;
    let sample = inside.normalised(&pixels);
    inside.run(sample)?;
    // The patches: what the places of the sequence were.
    let (shapes, at) = (model.infer()?, model.layers.iter().position(|layer| layer.is::<Tokens>()));
    let patches = at.and_then(|at| Some(&shapes.get(at.checked_sub(1)?)?.shape[..]));
    let Some(&[height, width, _]) = patches else {
        return Err(Error::input("found no layer that makes an image a sequence, whose patches could be shown"));
    };
    // A class token comes before the patches, and is none.
    let first = at.and_then(|at| Some(usize::from(model.layers.get(at)?.get::<Tokens>()?.class_token))).unwrap_or(0);
    let layers = layers(inside.executor(), false, |_, [queries, keys], map| {
        let looked_at = |j: usize| map.iter().skip(j).step_by(keys).sum::<f32>() / queries as f32;
        let map: Vec<f32> = (first..keys).map(looked_at).collect();
        (map.len() == height * width).then(|| (largest(&map), Picture::positive(&map, [height, width], largest(&map))))
    })?;
    let picture = Some(Picture::image(&pixels, model.image()?));
    Ok(Heads { picture, read: Vec::new(), written: Vec::new(), layers })
}

fn largest(map: &[f32]) -> f32 {
    map.iter().copied().fold(0.0, f32::max)
}

/// The attentions of a graph that has run. `show` makes of the weights of a head [queries, keys] the largest and a picture.
fn layers(
    executor: &Executor,
    translates: bool,
    show: impl Fn(&Layer, [usize; 2], &[f32]) -> Option<(f32, Picture)>,
) -> Result<Vec<Layer>> {
    let graph = executor.graph();
    let (mut found, mut number) = (Vec::new(), 0);
    for node in &graph.nodes {
        let op: &dyn Any = &*node.op;
        let Some(op) = op.downcast_ref::<Attention>() else { continue };
        let values: Vec<Values> = node.x.iter().map(|x| executor.get(*x)).collect();
        let x: Vec<In<f32>> = node.x.iter().zip(&values).map(|(x, values)| values.arg(0, graph.shape(*x))).collect();
        let (sizes, weights) = op.weights(&x).map_err(Error::failed)?;
        number += usize::from(!op.memory);
        let writes = translates && (op.causal || op.memory);
        let (maps, largest) = (Vec::new(), Vec::new());
        let mut layer = Layer { number, writes, reads: !writes || op.memory, maps, largest };
        for map in weights.chunks(sizes.queries * sizes.keys) {
            let Some((largest, picture)) = show(&layer, [sizes.queries, sizes.keys], map) else { continue };
            layer.maps.push(picture);
            layer.largest.push((largest * 1e4).round() / 1e4);
        }
        found.extend((!layer.maps.is_empty()).then_some(layer));
    }
    Ok(found)
}
