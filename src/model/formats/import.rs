//! Weights from elsewhere: modules of PyTorch or Keras, matched to a model's layers by shape, and by number where
//! shapes are alike.

mod modules;
mod named;
mod places;
mod recurrent;
mod tied;

use crate::error::{Error, Result};
use crate::model::formats::weights::{NamedTensor, to_file};
use crate::model::{Model, Weights};
use crate::suggest;
pub use named::headed;

use modules::{Module, last, modules, prefix, unnumbered};
use places::{Place, places};
use recurrent::Prepared;
use std::fmt::{self, Write};

/// How a file orders the elements of its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Order {
    /// [O, I, KH, KW] and [units, features]; `flatten` gives C, H, W.
    Pytorch,
    /// [KH, KW, I, O] and [features, units]; `flatten` gives H, W, C. Flax's, too.
    Keras,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Order::Pytorch => "PyTorch",
            Order::Keras => "Keras",
        })
    }
}

/// Information from the user that shapes and names do not give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The order of elements.
    pub order: Option<Order>,
    /// Layers, by their index, and the modules that they take.
    pub map: Vec<(usize, String)>,
    /// Whether weights that the file does not have are drawn, and those that the model does not have left out.
    pub partial: bool,
}

/// A layer and the module that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The layer: its index and type.
    pub layer: String,
    /// The weight's name and shape in the file.
    pub weight: (String, Vec<usize>),
    /// The bias's name; none if the file has no bias and zeros are taken.
    pub bias: Option<String>,
    /// The conversion of the weight's elements.
    pub done: &'static str,
}

/// A model's weights, and where each came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The weights, under the names of the model.
    pub weights: Weights,
    /// The order of elements that the file has.
    pub order: Order,
    /// A line for each layer with weights.
    pub matches: Vec<Match>,
    /// Guesses, and places where another net may have weights of the same shapes.
    pub notes: Vec<String>,
}

impl fmt::Display for Imported {
    /// The matches as a table.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let title = ["layer", "weight", "shape", "bias", "elements"].map(String::from);
        let line = |m: &Match| {
            let bias = m.bias.clone().unwrap_or_else(|| "zeros".into());
            [
                m.layer.clone(),
                m.weight.0.clone(),
                format!("{:?}", m.weight.1),
                bias,
                format!("{}'s, {}", self.order, m.done),
            ]
        };
        let lines: Vec<[String; 5]> = std::iter::once(title).chain(self.matches.iter().map(line)).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths = [0, 1, 2, 3].map(width);
        for [layer, weight, shape, bias, done] in &lines {
            let [a, b, c, d] = widths;
            writeln!(f, "{layer:a$}  {weight:b$}  {shape:c$}  {bias:d$}  {done}")?;
        }
        Ok(())
    }
}

/// The module that each place takes, and the places that took theirs by the numbers in the names alone.
struct Pairs {
    modules: Vec<usize>,
    by_number: Vec<Vec<usize>>,
}

/// Matches the tensors of a file to a model's layers.
///
/// A module is what shares a name up to the last `.` or `/`: one weight, and a bias or none; of a normalisation also the
/// running mean and variance. Each layer takes the module
/// whose shapes fit. Where several fit, their names must be equal except for a number, which then gives their order.
///
/// # Errors
/// [`Error::Input`] that shows what fits where, when a layer has no module or a module no layer, when several fit and
/// their names give no order, and when both orders of elements fit and neither names nor `hints` tell which it is.
pub fn import(file: &Weights, model: &Model, hints: &Hints) -> Result<Imported> {
    if let Some(apart) = tied::apart(model) {
        return tied::joined(import(file, &apart, hints)?, model);
    }
    if hints.order != Some(Order::Keras)
        && hints.map.is_empty()
        && let Some(imported) = named::by_name(file, model, hints.partial)?
    {
        return Ok(Imported { notes: [imported.notes.clone(), lookalikes(model)?].concat(), ..imported });
    }
    if hints.partial {
        let why = "found none of the names of its modules in the file";
        let why = if model.has_modules() { why } else { "no layer has a `module`" };
        return Err(Error::input(format!("partial: {why}, by which alone weights can be left out")));
    }
    if *hints == Hints::default()
        && let Some(imported) = same(file, model)?
    {
        return Ok(imported);
    }
    let places = places(model)?;
    let prepared = recurrent::prepared(file)?;
    let modules = modules(&prepared.file)?;
    let mut found: Vec<(Order, Pairs)> = Vec::new();
    let mut unclear = None;
    let orders = hints.order.map_or(vec![Order::Pytorch, Order::Keras], |order| vec![order]);
    for &order in &orders {
        match pair(&places, &modules, order, &hints.map) {
            Ok(pairs) => found.push((order, pairs)),
            Err(Fault::Misfit) => {}
            Err(Fault::Unclear(why)) => unclear = Some(why),
        }
    }
    // Square weights fit both orders; PyTorch calls them weight, Keras and Flax kernel, and Keras's embeddings have a name too.
    if found.len() > 1 {
        let weights = || modules.iter().filter_map(Module::weight).filter(|weight| weight.shape.len() > 1);
        let names = || weights().filter_map(|weight| prepared.original(weight)).map(|(name, _)| last(name));
        let named = |words: &[&str]| names().all(|name| words.iter().any(|word| name.starts_with(word)));
        found.retain(|(order, _)| match order {
            Order::Pytorch => !named(&["kernel", "embeddings"]),
            Order::Keras => !named(&["weight"]),
        });
    }
    match (&found[..], unclear) {
        ([(order, pairs)], _) => {
            let imported = taken(&places, &modules, &prepared, *order, &pairs.modules)?;
            Ok(Imported { notes: notes(model, &places, &modules, *order, pairs)?, ..imported })
        }
        ([], Some(why)) => Err(Error::input(why)),
        ([], None) => {
            let sizes = sizes(&places, &modules, &orders);
            Err(Error::input(format!("the weights do not fit model {}:{sizes}", model.name)))
        }
        _ => Err(Error::input("the weights fit in PyTorch's and in Keras's order: choose one with --order")),
    }
}

/// Weights as they are, where the file has the names and shapes of a model with a layer of several modules, as PyTorch's modules
/// of the same layers have them. Weights of others may be Keras's.
fn same(file: &Weights, model: &Model) -> Result<Option<Imported>> {
    let params = model.params()?;
    if !params.iter().any(|param| param.name.matches('.').count() > 1) {
        return Ok(None);
    }
    let one = |name: &str| file.tensors.iter().find(|tensor| tensor.name == name);
    let tensors: Option<Vec<NamedTensor>> = params
        .iter()
        .map(|param| one(&param.name).filter(|tensor| tensor.shape == param.file_shape).cloned())
        .collect();
    let Some(tensors) = tensors.filter(|tensors| tensors.len() == file.tensors.len()) else { return Ok(None) };
    // What one weight alone makes a layer has a line of its own, and each other module one.
    let line = |tensors: &[NamedTensor]| {
        let index = tensors[0].name.split('.').next().and_then(|index| index.parse::<usize>().ok()).unwrap_or(0);
        let kind = model.layers.get(index).map_or("", |layer| layer.type_name());
        let (weight, bias) = (&tensors[0], tensors.get(1).map(|bias| bias.name.clone()));
        Match {
            layer: format!("{index} ({kind})"),
            weight: (weight.name.clone(), weight.shape.clone()),
            bias: Some(bias.unwrap_or_else(|| "none".into())),
            done: "as they are",
        }
    };
    let matches = tensors.chunk_by(|a, b| prefix(&a.name) == prefix(&b.name)).map(line).collect();
    Ok(Some(Imported { weights: Weights::new(tensors), order: Order::Pytorch, matches, notes: Vec::new() }))
}

/// Why modules and places do not come together.
enum Fault {
    /// Their shapes do not.
    Misfit,
    /// It cannot be told which goes where, or what was said of it is wrong.
    Unclear(String),
}

/// For each place the module that it takes, or why that cannot be told.
fn pair(
    places: &[Place],
    modules: &[Module],
    order: Order,
    map: &[(usize, String)],
) -> std::result::Result<Pairs, Fault> {
    let mut by_number = Vec::new();
    let mut pairs: Vec<Option<usize>> = vec![None; places.len()];
    let mut free: Vec<usize> = (0..modules.len()).collect();
    for (layer, name) in map {
        let unclear = |why: String| Fault::Unclear(format!("layer {layer} = {}: {why}", name.escape_debug()));
        let place = (0..places.len()).find(|&place| places[place].index == *layer && pairs[place].is_none());
        let place = place.ok_or_else(|| unclear("no such layer has weights, or it has a module already".into()))?;
        let at = free.iter().position(|&module| modules[module].name == name);
        let known = || suggest::unknown("module", name, &modules.iter().map(|m| m.name).collect::<Vec<_>>(), "");
        let module = free.remove(at.ok_or_else(|| unclear(known()))?);
        if !places[place].fits(&modules[module], order) {
            return Err(Fault::Misfit);
        }
        pairs[place] = Some(module);
    }
    for at in 0..places.len() {
        if pairs[at].is_some() {
            continue;
        }
        let shape = places[at].shape(order);
        let fitting: Vec<usize> = free.iter().copied().filter(|&m| places[at].fits(&modules[m], order)).collect();
        // Where all of them have one, the bias tells a convolution from a transposed one of the same weights.
        let told = fitting.iter().all(|&m| modules[m].members[1].is_some());
        let bias = |place: &Place| place.params.get(1).map(|bias| bias.file_shape.clone());
        let is_like = |&p: &usize| {
            let place = &places[p];
            pairs[p].is_none() && places[at].is_like(place, order) && (!told || bias(place) == bias(&places[at]))
        };
        let alike: Vec<usize> = (at..places.len()).filter(is_like).collect();
        if fitting.len() != alike.len() {
            return Err(Fault::Misfit);
        }
        let name = |module: usize| modules[module].name.escape_debug().to_string();
        if fitting.iter().any(|&module| unnumbered(&name(module)) != unnumbered(&name(fitting[0]))) {
            let layers: Vec<&str> = alike.iter().map(|&place| &*places[place].name).collect();
            let names: Vec<String> = fitting.iter().map(|&module| name(module)).collect();
            return Err(Fault::Unclear(format!(
                "layers {} have one shape, {shape:?}, and each of {} fits, but their names give no order: \
                 assign them with --map {}={},…",
                layers.join(", "),
                names.join(", "),
                places[at].index,
                names[0]
            )));
        }
        free.retain(|module| !fitting.contains(module));
        alike.iter().zip(fitting).for_each(|(place, module)| pairs[*place] = Some(module));
        if alike.len() > 1 {
            by_number.push(alike);
        }
    }
    match free.is_empty() {
        true => Ok(Pairs { modules: pairs.into_iter().flatten().collect(), by_number }),
        false => Err(Fault::Misfit),
    }
}

/// Guesses, and places where weights of the same shapes may belong to another net.
fn notes(model: &Model, places: &[Place], modules: &[Module], order: Order, pairs: &Pairs) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    if !pairs.by_number.is_empty() {
        let count = pairs.by_number.iter().map(Vec::len).sum::<usize>();
        let first = |place: &usize| {
            format!("{} = {}", places[*place].index, modules[pairs.modules[*place]].name.escape_debug())
        };
        let most = pairs.by_number.iter().max_by_key(|places| places.len()).into_iter().flatten();
        let some: Vec<String> = most.take(3).map(first).collect();
        notes.push(format!(
            "{count} layers have a shape that others have, and took their modules in the order of the numbers in their names \
             ({}, …): this is a guess, right if the net runs them in that order; --map LAYER=MODULE overrides it",
            some.join(", ")
        ));
    }
    if order == Order::Pytorch {
        notes.extend(lookalikes(model)?);
    }
    Ok(notes)
}

/// Layers whose weights may belong to something else in PyTorch.
fn lookalikes(model: &Model) -> Result<Vec<String>> {
    let (input, mut results, mut notes) = (model.input.to_vec(), Vec::new(), Vec::new());
    for (index, (layer, inferred)) in model.layers.iter().zip(model.infer()?).enumerate() {
        let inputs: Vec<&[usize]> = layer.inputs(index, &input, &results)?.into_iter().map(|x| &**x).collect();
        // Of results in a given order there is nothing to guess.
        if let Some(why) = layer.lookalike(&inputs).filter(|_| !layer.alone) {
            notes.push(format!("layer {index} ({}): {why}", layer.type_name()));
        }
        results.push(inferred.shape);
    }
    Ok(notes)
}

/// The shapes that the layers need in each order, those in the file, and which fit.
fn sizes(places: &[Place], modules: &[Module], orders: &[Order]) -> String {
    let mut text = String::new();
    for place in places {
        let needs = orders.iter().map(|&order| {
            let shape = place.shape(order);
            let fitting = modules.iter().filter(|module| place.fits(module, order));
            let fitting: Vec<String> = fitting.map(|m| m.name.escape_debug().to_string()).collect();
            let fitting = if fitting.is_empty() { "nothing".into() } else { fitting.join(", ") };
            format!("{shape:?} in {order}'s order ({fitting} fits)")
        });
        let needs: Vec<String> = needs.collect();
        let others: Vec<&str> = place.params[1..].iter().map(|param| last(&param.name)).collect();
        let (needs, size) = (needs.join(" or "), &place.params.last().map_or(&[][..], |param| &param.file_shape));
        let others = if others.is_empty() { "no bias".into() } else { format!("{} {size:?}", others.join(", ")) };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  layer {} needs {needs}, {others}", place.name);
    }
    for module in modules {
        let members: Vec<String> =
            module.members.iter().flatten().map(|m| format!("{} {:?}", m.name.escape_debug(), m.shape)).collect();
        let none = if module.members[1].is_none() { ", no bias" } else { "" };
        let _ = write!(text, "\n  the file has {}{none}", members.join(", "));
    }
    text
}

fn taken(places: &[Place], modules: &[Module], prepared: &Prepared, order: Order, pairs: &[usize]) -> Result<Imported> {
    let (mut tensors, mut matches) = (Vec::new(), Vec::new());
    for (place, &module) in places.iter().zip(pairs) {
        let module = &modules[module];
        for (param, member) in place.params.iter().zip(module.members) {
            let values = match member {
                Some(member) => to_file(&place.layout(order, param).0, &member.values)?,
                None => vec![0.0; param.elements()],
            };
            tensors.push(NamedTensor { name: param.name.clone(), shape: param.file_shape.clone(), values });
        }
        let name = |tensor| prepared.original(tensor).map(|(name, _)| name.escape_debug().to_string());
        let Some((weight, shape)) = module.weight().and_then(|weight| prepared.original(weight)) else { continue };
        let none = (place.params.len() == 1).then(|| "none".into());
        let bias = module.members[if place.is_cell() { 2 } else { 1 }];
        let (layer, bias) = (place.name.clone(), bias.and_then(name).or(none));
        let done = place.layout(order, &place.params[0]).1;
        matches.push(Match { layer, weight: (weight.escape_debug().to_string(), shape.to_vec()), bias, done });
    }
    Ok(Imported { weights: Weights::new(tensors), order, matches, notes: Vec::new() })
}
