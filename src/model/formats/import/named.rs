//! Weights by the real names of their modules: no shapes are guessed from, and no order.

use super::{Imported, Match, Order};
use crate::error::{Error, Result};
use crate::model::formats::weights::NamedTensor;
use crate::model::init::glorot_uniform;
use crate::model::layers::keys::Value;
use crate::model::modules::{elsewhere, named, squeezed};
use crate::model::{Model, ParamSpec, Weights};
use std::collections::{HashMap, HashSet};

/// What wrappers of PyTorch put before the names of a net's modules: none, data parallelism, compilation, Lightning.
const PREFIXES: [&str; 4] = ["", "module.", "_orig_mod.", "model."];

/// The most names in a message.
const MOST: usize = 8;

/// The file's tensors by the names of a model's modules, which may have a prefix; none if the file has no such name.
fn tensors<'a>(file: &'a Weights, names: &HashSet<&str>) -> Option<(&'static str, HashMap<&'a str, &'a NamedTensor>)> {
    PREFIXES.into_iter().find_map(|prefix| {
        let own = |tensor: &'a NamedTensor| Some((tensor.name.strip_prefix(prefix)?, tensor));
        let found: HashMap<&str, &NamedTensor> = file.tensors.iter().filter_map(own).collect();
        found.keys().any(|name| names.contains(name)).then_some((prefix, found))
    })
}

/// The model with as many outputs as the file has for its last layer, where that has the name of a module, and the file has
/// another number of them.
///
/// # Errors
/// [`Error::Input`] as [`Model::infer`].
pub fn headed(file: &Weights, model: Model) -> Result<Model> {
    let inferred = model.infer()?;
    let Some(last) = inferred.iter().rposition(|layer| !layer.params.is_empty()) else { return Ok(model) };
    let weight = &inferred[last].params[0];
    let Some(real) = model.real_name(&weight.name) else { return Ok(model) };
    let Some((_, found)) = tensors(file, &HashSet::from([&*real])) else { return Ok(model) };
    let (found, own) = (squeezed(&found[&*real].shape), squeezed(&weight.file_shape));
    match (&found[..], &own[..]) {
        (&[outputs, ref features @ ..], [before, known @ ..]) if features == known && outputs != *before => {
            let with = |key| model.layers[last].with(key, Value::Size(outputs));
            let Some(changed) = with("units").or_else(|| with("filters")) else { return Ok(model) };
            let mut model = model.clone();
            model.layers[last] = changed;
            Ok(model)
        }
        _ => Ok(model),
    }
}

/// Weights by name; none if no layer of the model has a module, or the file none of their names. With `partial`, what the file
/// does not have is drawn, and what the model does not have is left out.
pub(super) fn by_name(file: &Weights, model: &Model, partial: bool) -> Result<Option<Imported>> {
    if !model.has_modules() {
        return Ok(None);
    }
    let params = named(model, model.params()?)?;
    let names: HashSet<&str> = params.iter().map(|(_, real)| &**real).collect();
    let Some((prefix, mut found)) = tensors(file, &names) else { return Ok(None) };
    let drawn = glorot_uniform(model, 0)?;
    let (mut tensors, mut missing, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for ((param, real), drawn) in params.into_iter().zip(drawn.tensors) {
        let known = std::iter::once(real.clone()).chain(elsewhere(&real)).find(|name| found.contains_key(&**name));
        let values = match known.and_then(|name| found.remove(&*name)) {
            Some(tensor) if squeezed(&tensor.shape) == squeezed(&param.file_shape) => {
                taken.push((param.clone(), tensor));
                tensor.values.clone()
            }
            other => {
                let shown = other.map_or("none".into(), |tensor| format!("{:?}", tensor.shape));
                missing.push(format!("{real} {:?} (found {shown})", param.file_shape));
                drawn.values
            }
        };
        tensors.push(NamedTensor { name: param.name, shape: param.file_shape, values });
    }
    let mut extra: Vec<String> = found.into_values().map(|tensor| tensor.name.escape_debug().to_string()).collect();
    extra
        .extend(file.tensors.iter().filter(|t| !t.name.starts_with(prefix)).map(|t| t.name.escape_debug().to_string()));
    extra.sort();
    let told = [("missing", &missing), ("not in the model", &extra)];
    let told: Vec<String> = told
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}", some(names)))
        .collect();
    if !told.is_empty() && !partial {
        return Err(Error::input(format!(
            "the weights do not fit model {}: {}; --partial takes the others and draws what is missing",
            model.name.escape_debug(),
            told.join("; ")
        )));
    }
    let notes = (!prefix.is_empty()).then(|| format!("the names in the file begin with {prefix}, which was left out"));
    let notes = notes.into_iter().chain(told).collect();
    Ok(Some(Imported { weights: Weights::new(tensors), order: Order::Pytorch, matches: matches(model, &taken), notes }))
}

/// A line for each module of which there is something.
fn matches(model: &Model, taken: &[(ParamSpec, &NamedTensor)]) -> Vec<Match> {
    let index = |param: &ParamSpec| param.name.split('.').next().and_then(|index| index.parse::<usize>().ok());
    let line = |params: &[(ParamSpec, &NamedTensor)]| {
        let (param, weight) = &params[0];
        let at = index(param).unwrap_or_default();
        let bias = params.iter().find(|(param, _)| param.is_bias).map(|(_, bias)| bias.name.escape_debug().to_string());
        Match {
            layer: format!("{at} ({})", model.layers.get(at).map_or("", |layer| layer.type_name())),
            weight: (weight.name.escape_debug().to_string(), weight.shape.clone()),
            bias: Some(bias.unwrap_or_else(|| "none".into())),
            done: "as they are",
        }
    };
    taken.chunk_by(|a, b| index(&a.0) == index(&b.0)).map(line).collect()
}

/// The first few names.
fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(MOST);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::super::{Hints, import};
    use super::*;
    use crate::model::Sequential;

    fn net(classes: usize) -> Model {
        let net = Sequential::new([3, 3, 2]).conv2d(4, 3).without_bias().module("stem.0").batch_norm().module("stem.1");
        let net = net.relu().scale_channels(0.5).module("gamma").flatten();
        net.dense(classes).module("head.fc").build().unwrap()
    }

    /// A file as PyTorch has it, with a prefix, whose values count up.
    fn file(prefix: &str) -> Weights {
        let tensor = |name: &str, shape: &[usize]| {
            let values = (0..shape.iter().product::<usize>()).map(|i| 1.0 + i as f32).collect();
            NamedTensor { name: format!("{prefix}{name}"), shape: shape.into(), values }
        };
        let norm = ["weight", "bias", "running_mean", "running_var"].map(|own| tensor(&format!("stem.1.{own}"), &[4]));
        let others = [("stem.0.weight", vec![4, 2, 3, 3]), ("gamma", vec![4, 1, 1]), ("head.fc.weight", vec![5, 4])];
        let others = others.into_iter().map(|(name, shape)| tensor(name, &shape));
        Weights::new(others.chain(norm).chain([tensor("head.fc.bias", &[5])]).collect())
    }

    fn partly(partial: bool, file: &Weights, model: &Model) -> Result<Imported> {
        import(file, model, &Hints { partial, ..Hints::default() })
    }

    #[test]
    fn weights_go_by_the_names_of_modules_and_a_prefix_is_left_out() {
        for prefix in ["", "module."] {
            let found = partly(false, &file(prefix), &net(5)).unwrap();
            found.weights.check_against(&net(5)).unwrap();
            assert_eq!(found.weights.get("3.weight").unwrap().values, [1.0, 2.0, 3.0, 4.0]);
            assert_eq!(found.weights.get("5.bias").unwrap().shape, [5]);
            assert_eq!(found.notes.len(), usize::from(!prefix.is_empty()), "{:?}", found.notes);
        }
    }

    #[test]
    fn a_head_has_as_many_outputs_as_the_file() {
        let model = headed(&file(""), net(1000)).unwrap();
        assert_eq!(model.classes().unwrap(), 5);
        assert_eq!(model.layers.last().unwrap().module.as_deref(), Some("head.fc"));
    }

    #[test]
    fn what_is_missing_or_strange_is_listed_and_left_to_partial() {
        let mut weights = file("");
        weights.tensors.retain(|tensor| tensor.name != "stem.0.weight");
        weights.tensors.push(NamedTensor { name: "aux.weight".into(), shape: vec![1], values: vec![0.0] });
        let error = partly(false, &weights, &net(5)).unwrap_err().to_string();
        assert!(
            error.contains("missing: stem.0.weight [4, 2, 3, 3] (found none); not in the model: aux.weight; "),
            "{error}"
        );
        let found = partly(true, &weights, &net(5)).unwrap();
        found.weights.check_against(&net(5)).unwrap();
        assert_eq!(found.weights.get("0.weight"), glorot_uniform(&net(5), 0).unwrap().get("0.weight"));
        assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
        let plain = Model::preset("mnist-cnn", [28, 28, 1], 10).unwrap();
        let error = partly(true, &weights, &plain).unwrap_err().to_string();
        assert!(error.contains("no layer has a `module`"), "{error}");
    }
}
