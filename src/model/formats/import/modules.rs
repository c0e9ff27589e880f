//! Which tensors of a file belong together, by their names.

use super::recurrent::MEMBERS;
use crate::error::{Error, Result};
use crate::model::Weights;
use crate::model::formats::weights::NamedTensor;
use std::collections::BTreeMap;

/// The names of a module's members in PyTorch, Keras and Flax, in the order of a layer's parameters.
const ROLES: [&[&str]; 4] = [
    &["weight", "kernel", "gamma", "scale"],
    &["bias", "beta"],
    &["running_mean", "moving_mean", "mean"],
    &["running_var", "moving_variance", "var"],
];

/// Tensors of the file that belong together, by their [`ROLES`].
pub(super) struct Module<'a> {
    pub(super) name: &'a str,
    pub(super) members: [Option<&'a NamedTensor>; 4],
}

impl Module<'_> {
    pub(super) fn weight(&self) -> Option<&NamedTensor> {
        self.members[0]
    }
}

/// The part of a name after the last separator.
pub(super) fn last(name: &str) -> &str {
    name.rsplit(['.', '/']).next().unwrap_or(name)
}

/// A name of Flax's: the collection that it is in, and the rest.
fn collection(name: &str) -> Option<(&str, &str)> {
    let (collection, rest) = name.split_once(['.', '/'])?;
    ["params", "batch_stats"].contains(&collection).then_some((collection, rest))
}

/// The part of a name before the last separator; the whole name if there is none.
pub(super) fn prefix(name: &str) -> &str {
    name.rfind(['.', '/']).map_or(name, |at| &name[..at])
}

/// The modules of a file, by their names as people count them.
pub(super) fn modules(file: &Weights) -> Result<Vec<Module<'_>>> {
    let mut modules: BTreeMap<&str, Module> = BTreeMap::new();
    let flax = file.tensors.iter().any(|tensor| collection(&tensor.name).is_some_and(|(named, _)| named == "params"));
    for tensor in &file.tensors {
        // Keras 2 numbers its variables, and Flax keeps weights and statistics in collections.
        let whole = tensor.name.strip_suffix(":0").unwrap_or(&tensor.name);
        let whole = collection(whole).filter(|_| flax).map_or(whole, |(_, name)| name);
        let (name, own) = (prefix(whole), last(whole));
        let module = modules.entry(name).or_insert(Module { name, members: [None; 4] });
        let member = MEMBERS.iter().position(|name| *name == own);
        let called = ROLES.iter().position(|names| names.contains(&own));
        // Of more than one axis is the weight, whatever it is called; beside it, its bias.
        let role = match (tensor.shape.len(), called) {
            _ if member.is_some() => member.unwrap_or_default(),
            (2.., _) => 0,
            (_, Some(role)) => role,
            (_, None) => 1,
        };
        if let Some(other) = module.members[role].replace(tensor) {
            let (other, found, shape) = (&other.name, tensor.name.escape_debug(), &tensor.shape);
            return Err(Error::input(format!(
                "found {} and {found} of shape {shape:?} in one module, expected one weight and at most one bias",
                other.escape_debug()
            )));
        }
    }
    if let Some(bias) = modules.values().find(|m| m.weight().is_none()).and_then(|m| m.members.iter().flatten().next())
    {
        let (name, shape) = (bias.name.escape_debug(), &bias.shape);
        return Err(Error::input(format!("found {name} of shape {shape:?} without a weight beside it, expected one")));
    }
    let mut modules: Vec<Module> = modules.into_values().collect();
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
pub(super) fn unnumbered(name: &str) -> String {
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
