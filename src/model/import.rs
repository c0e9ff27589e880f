//! Weights from elsewhere: modules of PyTorch or Keras, matched to a model's layers by shape, and by number where
//! shapes are alike.

use super::weights::{NamedTensor, to_file};
use super::{Layer, Model, ParamSpec, Weights};
use crate::error::{Error, Result};
use crate::graph::Layout;
use crate::near;
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

/// What the user knows that shapes and names do not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The order of elements.
    pub order: Option<Order>,
    /// Layers, by their index, and the modules that they take.
    pub map: Vec<(usize, String)>,
}

/// A layer and the module that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The layer: its index and type.
    pub layer: String,
    /// The weight's name and shape in the file.
    pub weight: (String, Vec<usize>),
    /// The bias's name; none where the file has no bias and zeros are taken.
    pub bias: Option<String>,
    /// What was done to the weight's elements.
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

/// One layer with weights.
struct Place {
    index: usize,
    name: String,
    weight: ParamSpec,
    bias: ParamSpec,
    /// Filters for each channel of a depthwise convolution, which Keras has in an axis of their own.
    multiplier: Option<usize>,
    /// Whether its weight has the inputs before the outputs.
    is_transposed: bool,
    /// H · W and C of the image that was flattened into its features.
    flattened: Option<[usize; 2]>,
}

impl Place {
    /// The shape of its weight in a file of this order.
    fn shape(&self, order: Order) -> Vec<usize> {
        match (order, &self.weight.file_shape[..]) {
            (Order::Keras, &[o, 1, kh, kw]) if self.multiplier.is_some() => {
                let multiplier = self.multiplier.unwrap_or(1);
                vec![kh, kw, o / multiplier, multiplier]
            }
            (Order::Keras, &[o, i, kh, kw]) => vec![kh, kw, i, o],
            (Order::Keras, &[units, features]) => vec![features, units],
            (_, shape) => shape.to_vec(),
        }
    }

    /// How a file of this order has its weight, and what is to be done to it.
    fn layout(&self, order: Order) -> (Layout, &'static str) {
        let file_shape = self.weight.file_shape.clone();
        match (order, self.flattened, file_shape.len()) {
            (Order::Pytorch, ..) => (Layout { perm: (0..file_shape.len()).collect(), file_shape }, "as they are"),
            (_, _, 4) if self.multiplier.is_some() => (self.weight.layout(), "H W C M to C·M 1 H W"),
            (_, _, 4) if self.is_transposed => (self.weight.layout(), "H W O I to I O H W"),
            (_, _, 4) => (self.weight.layout(), "H W I O to O I H W"),
            (_, Some([places, channels]), _) => {
                let file_shape = vec![file_shape[0], channels, places];
                (Layout { file_shape, perm: vec![2, 1, 0] }, "transposed, features H W C to C H W")
            }
            _ => (Layout { file_shape, perm: vec![1, 0] }, "transposed"),
        }
    }
}

/// Tensors of the file that belong together.
struct Module<'a> {
    name: &'a str,
    weight: &'a NamedTensor,
    bias: Option<&'a NamedTensor>,
}

/// Matches the tensors of a file to a model's layers.
///
/// A module is what shares a name up to the last `.` or `/`: one weight, and a bias or none. Each layer takes the module
/// whose shapes fit. Where several fit, their names must be alike but for a number, which then gives their order.
///
/// # Errors
/// [`Error::Input`] that shows what fits where, when a layer has no module or a module no layer, when several fit and
/// their names give no order, and when both orders of elements fit and neither names nor `hints` tell which it is.
pub fn import(file: &Weights, model: &Model, hints: &Hints) -> Result<Imported> {
    let places = places(model)?;
    let modules = modules(file)?;
    let mut found: Vec<(Order, Vec<usize>)> = Vec::new();
    let mut unclear = None;
    let orders = hints.order.map_or(vec![Order::Pytorch, Order::Keras], |order| vec![order]);
    for &order in &orders {
        match pair(&places, &modules, order, &hints.map) {
            Ok(pairs) => found.push((order, pairs)),
            Err(Fault::Misfit) => {}
            Err(Fault::Unclear(why)) => unclear = Some(why),
        }
    }
    // Square weights fit both orders; PyTorch calls them weight, Keras and Flax kernel.
    if found.len() > 1 {
        let named = |word: &str| modules.iter().all(|module| last(&module.weight.name).starts_with(word));
        found.retain(|(order, _)| match order {
            Order::Pytorch => !named("kernel"),
            Order::Keras => !named("weight"),
        });
    }
    match (&found[..], unclear) {
        ([(order, pairs)], _) => taken(&places, &modules, *order, pairs),
        ([], Some(why)) => Err(Error::input(why)),
        ([], None) => {
            let sizes = sizes(&places, &modules, &orders);
            Err(Error::input(format!("the weights do not fit model {}:{sizes}", model.name)))
        }
        _ => Err(Error::input("the weights fit in PyTorch's and in Keras's order: --order says which it is")),
    }
}

/// Why modules and places do not come together.
enum Fault {
    /// Their shapes do not.
    Misfit,
    /// It cannot be told which goes where, or what was said of it is wrong.
    Unclear(String),
}

fn places(model: &Model) -> Result<Vec<Place>> {
    let (mut places, mut shape, mut flattened) = (Vec::new(), model.input.to_vec(), None);
    let mut reordered = false;
    for (index, (layer, inferred)) in model.layers.iter().zip(model.infer()?).enumerate() {
        // Whose features come in which order is no longer told by the last flatten alone.
        if layer.joins().is_some() && shape.len() == 1 && reordered {
            let kind = layer.type_name();
            let expected = "expected add and concat before the flatten, for weights to be imported";
            return Err(Error::input(format!("layer {index} ({kind}): found features, {expected}")));
        }
        if let (Layer::Flatten {}, &[h, w, c]) = (layer, &shape[..]) {
            flattened = (h * w > 1 && c > 1).then_some([h * w, c]);
            reordered |= flattened.is_some();
        }
        if let [weight, bias] = &inferred.params[..] {
            let name = format!("{index} ({})", layer.type_name());
            let multiplier = match *layer {
                Layer::DepthwiseConv2d { multiplier, .. } => Some(multiplier),
                _ => None,
            };
            let (weight, bias) = (weight.clone(), bias.clone());
            let is_transposed = matches!(layer, Layer::ConvTranspose2d { .. });
            places.push(Place { index, name, weight, bias, multiplier, is_transposed, flattened });
            flattened = None;
        } else if !inferred.params.is_empty() {
            let kind = layer.type_name();
            return Err(Error::input(format!("layer {index} ({kind}): found other weights than a weight and a bias")));
        }
        shape = inferred.shape;
    }
    Ok(places)
}

/// The part of a name behind the last separator.
fn last(name: &str) -> &str {
    name.rsplit(['.', '/']).next().unwrap_or(name)
}

/// The part of a name before the last separator; the whole name where there is none.
fn prefix(name: &str) -> &str {
    name.rfind(['.', '/']).map_or(name, |at| &name[..at])
}

fn modules(file: &Weights) -> Result<Vec<Module<'_>>> {
    let mut modules: Vec<Module> = Vec::new();
    for weight in file.tensors.iter().filter(|tensor| tensor.shape.len() > 1) {
        let name = prefix(&weight.name);
        if let Some(other) = modules.iter().find(|module| module.name == name) {
            let (other, weight) = (&other.weight.name, &weight.name);
            return Err(Error::input(format!(
                "found {other} and {weight} in one module, expected one weight and one bias"
            )));
        }
        modules.push(Module { name, weight, bias: None });
    }
    for bias in file.tensors.iter().filter(|tensor| tensor.shape.len() <= 1) {
        match modules.iter_mut().find(|module| module.name == prefix(&bias.name)) {
            Some(module) if module.bias.is_none() => module.bias = Some(bias),
            _ => {
                let (name, shape) = (bias.name.escape_debug(), &bias.shape);
                let expected = "expected a weight and at most one bias in each module";
                return Err(Error::input(format!(
                    "found {name} of shape {shape:?} beside what a layer has, {expected}"
                )));
            }
        }
    }
    modules.sort_by_cached_key(|module| natural(module.name));
    Ok(modules)
}

/// A name in pieces that sort as people count: conv2 before conv10.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut pieces = vec![(0, String::new())];
    let mut digits = String::new();
    for letter in name.chars().chain(['\0']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        if !digits.is_empty() {
            pieces.push((digits.parse().unwrap_or(u64::MAX), std::mem::take(&mut digits)));
            pieces.push((0, String::new()));
        }
        if let Some((_, text)) = pieces.last_mut() {
            text.push(letter);
        }
    }
    pieces
}

/// A name without its numbers: alike for conv1 and conv2, and for Keras's dense and dense_1.
fn unnumbered(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        match letter.is_ascii_digit() {
            true if text.ends_with('#') => {}
            true => text.push('#'),
            false => text.push(letter),
        }
    }
    text.strip_suffix("_#").map(String::from).unwrap_or(text)
}

/// For each place the module that it takes, or why that cannot be told.
fn pair(
    places: &[Place],
    modules: &[Module],
    order: Order,
    map: &[(usize, String)],
) -> std::result::Result<Vec<usize>, Fault> {
    let mut pairs: Vec<Option<usize>> = vec![None; places.len()];
    let mut free: Vec<usize> = (0..modules.len()).collect();
    let fits = |place: &Place, module: &Module| {
        let bias = module.bias.is_none_or(|bias| bias.shape == place.bias.file_shape);
        bias && module.weight.shape == place.shape(order)
    };
    for (layer, name) in map {
        let unclear = |why: String| Fault::Unclear(format!("layer {layer} = {}: {why}", name.escape_debug()));
        let place = (0..places.len()).find(|&place| places[place].index == *layer && pairs[place].is_none());
        let place = place.ok_or_else(|| unclear("no such layer has weights, or it has a module already".into()))?;
        let at = free.iter().position(|&module| modules[module].name == name);
        let known = || near::unknown("module", name, &modules.iter().map(|m| m.name).collect::<Vec<_>>(), "");
        let module = free.remove(at.ok_or_else(|| unclear(known()))?);
        if !fits(&places[place], &modules[module]) {
            return Err(Fault::Misfit);
        }
        pairs[place] = Some(module);
    }
    for at in 0..places.len() {
        if pairs[at].is_some() {
            continue;
        }
        let shape = places[at].shape(order);
        let fitting: Vec<usize> = free.iter().copied().filter(|&m| fits(&places[at], &modules[m])).collect();
        // Where all of them have one, the bias tells a convolution from a transposed one of the same weights.
        let told = fitting.iter().all(|&m| modules[m].bias.is_some());
        let bias = |p: usize| !told || places[p].bias.file_shape == places[at].bias.file_shape;
        let alike = (at..places.len()).filter(|&p| pairs[p].is_none() && places[p].shape(order) == shape && bias(p));
        let alike: Vec<usize> = alike.collect();
        if fitting.len() != alike.len() {
            return Err(Fault::Misfit);
        }
        let name = |module: usize| modules[module].name.escape_debug().to_string();
        if fitting.iter().any(|&module| unnumbered(&name(module)) != unnumbered(&name(fitting[0]))) {
            let layers: Vec<&str> = alike.iter().map(|&place| &*places[place].name).collect();
            let names: Vec<String> = fitting.iter().map(|&module| name(module)).collect();
            return Err(Fault::Unclear(format!(
                "layers {} have one shape, {shape:?}, and each of {} fits, but their names give no order: \
                 --map {}={},… says which goes where",
                layers.join(", "),
                names.join(", "),
                places[at].index,
                names[0]
            )));
        }
        free.retain(|module| !fitting.contains(module));
        alike.into_iter().zip(fitting).for_each(|(place, module)| pairs[place] = Some(module));
    }
    match free.is_empty() {
        true => Ok(pairs.into_iter().flatten().collect()),
        false => Err(Fault::Misfit),
    }
}

/// What the layers need in each order, what the file has, and which fits which.
fn sizes(places: &[Place], modules: &[Module], orders: &[Order]) -> String {
    let mut text = String::new();
    for place in places {
        let needs = orders.iter().map(|&order| {
            let shape = place.shape(order);
            let fitting = modules.iter().filter(|m| m.weight.shape == shape).map(|m| m.name.escape_debug().to_string());
            let fitting: Vec<String> = fitting.collect();
            let fitting = if fitting.is_empty() { "nothing".into() } else { fitting.join(", ") };
            format!("{shape:?} in {order}'s order ({fitting} fits)")
        });
        let needs: Vec<String> = needs.collect();
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  layer {} needs {}, bias {:?}", place.name, needs.join(" or "), place.bias.file_shape);
    }
    for module in modules {
        let bias = module.bias.map_or("no bias".into(), |bias| format!("bias {:?}", bias.shape));
        let _ =
            write!(text, "\n  the file has {} {:?}, {bias}", module.weight.name.escape_debug(), module.weight.shape);
    }
    text
}

fn taken(places: &[Place], modules: &[Module], order: Order, pairs: &[usize]) -> Result<Imported> {
    let (mut tensors, mut matches) = (Vec::new(), Vec::new());
    for (place, &module) in places.iter().zip(pairs) {
        let Module { weight, bias, .. } = modules[module];
        let (layout, done) = place.layout(order);
        let shape = place.weight.file_shape.clone();
        tensors.push(NamedTensor { name: place.weight.name.clone(), shape, values: to_file(&layout, &weight.values)? });
        let values = bias.map_or_else(|| vec![0.0; place.bias.elements()], |bias| bias.values.clone());
        tensors.push(NamedTensor { name: place.bias.name.clone(), shape: place.bias.file_shape.clone(), values });
        let name = |tensor: &NamedTensor| tensor.name.escape_debug().to_string();
        let (layer, bias) = (place.name.clone(), bias.map(name));
        matches.push(Match { layer, weight: (name(weight), weight.shape.clone()), bias, done });
    }
    Ok(Imported { weights: Weights::new(tensors), order, matches })
}
