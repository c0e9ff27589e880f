//! PEFT's folders of low-rank adapters: adapter_config.json and adapter_model.safetensors.

use super::folder::{CONFIG, LARGEST_CONFIG_BYTES, object};
use super::settings::Settings;
use super::tensors::{How, PREFIXES, Source};
use super::{Net, family};
use crate::error::{Error, Result, in_context};
use crate::files::write_whole;
use crate::model::formats::weights::{NamedTensor, to_safetensors};
use crate::model::layers::params::ParamSpec;
use crate::model::lora::Lora;
use crate::model::{Model, Weights};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const ADAPTER_CONFIG: &str = "adapter_config.json";
const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// What PEFT puts before a module's name.
const BASE: &str = "base_model.model.";

/// A module's name without what the class that wrote it puts before it.
fn stem(name: &str) -> &str {
    PREFIXES.iter().filter(|prefix| !prefix.is_empty()).find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

/// Adds the adapters of a folder to the weights that they adapt, those of a pretrained net's folder: W + s·B·A, where s is
/// `lora_alpha` / r, or with `use_rslora` `lora_alpha` / √r. Returns what is said of it.
///
/// # Errors
/// [`Error::Input`] for a folder that cannot be read, adapters of another kind, and those that fit no weight.
pub(super) fn merge(folder: &Path, weights: &mut Weights) -> Result<String> {
    merged(folder, weights).map_err(|error| in_context(&folder.display().to_string(), error))
}

fn merged(folder: &Path, weights: &mut Weights) -> Result<String> {
    let settings = Settings::new(object(&folder.join(ADAPTER_CONFIG), LARGEST_CONFIG_BYTES)?);
    settings.only("peft_type", &[json!("LORA")])?;
    settings.only("use_dora", &[json!(false)])?;
    settings.only("bias", &[json!("none")])?;
    settings.only("alpha_pattern", &[json!({})])?;
    settings.only("modules_to_save", &[json!([])])?;
    let alpha = settings.number("lora_alpha")?;
    let is_rooted = settings.flag_or("use_rslora", false)?;
    let is_transposed = settings.flag_or("fan_in_fan_out", false)?;
    let ((_, adapters), _) = Weights::load_any(&folder.join(ADAPTER_WEIGHTS))?;
    let mut factors: BTreeMap<&str, [Option<&NamedTensor>; 2]> = BTreeMap::new();
    for tensor in &adapters.tensors {
        let name = tensor.name.strip_prefix(BASE).unwrap_or(&tensor.name);
        let found = [".lora_A.weight", ".lora_B.weight"]
            .iter()
            .zip(0..)
            .find_map(|(end, which)| Some((name.strip_suffix(end)?, which)));
        let (module, which) = found.ok_or_else(|| {
            let name = tensor.name.escape_debug();
            Error::input(format!("found {name}, expected MODULE.lora_A.weight and MODULE.lora_B.weight"))
        })?;
        factors.entry(module).or_default()[which] = Some(tensor);
    }
    let places: HashMap<String, usize> =
        weights.tensors.iter().enumerate().map(|(at, tensor)| (stem(&tensor.name).to_owned(), at)).collect();
    for (module, factors) in &factors {
        let shown = module.escape_debug();
        let [Some(a), Some(b)] = factors else {
            return Err(Error::input(format!("{shown}: found one of lora_A and lora_B, expected both")));
        };
        let place = places.get(&format!("{}.weight", stem(module)));
        let place = *place.ok_or_else(|| Error::input(format!("{shown}: the net has no such weight to adapt")))?;
        let weight = &mut weights.tensors[place];
        let (&[rank, inputs], &[outputs, same]) = (&a.shape[..], &b.shape[..]) else {
            return Err(Error::input(format!("{shown}: found {:?} and {:?}, expected two matrices", a.shape, b.shape)));
        };
        let expected = if is_transposed { [inputs, outputs] } else { [outputs, inputs] };
        if rank != same || rank == 0 || weight.shape != expected {
            let found = &weight.shape;
            return Err(Error::input(format!(
                "{shown}: found lora_A {:?} and lora_B {:?}, expected [r, inputs] and [outputs, r] for a weight of {found:?}",
                a.shape, b.shape
            )));
        }
        let scale = alpha / if is_rooted { (rank as f64).sqrt() } else { rank as f64 };
        for (at, value) in weight.values.iter_mut().enumerate() {
            let (row, column) = (at / expected[1], at % expected[1]);
            let (output, input) = if is_transposed { (column, row) } else { (row, column) };
            let product = |r: usize| f64::from(b.values[output * rank + r]) * f64::from(a.values[r * inputs + input]);
            *value = (f64::from(*value) + scale * (0..rank).map(product).sum::<f64>()) as f32;
        }
    }
    match factors.len() {
        0 => Err(Error::input(format!("{ADAPTER_WEIGHTS}: found no adapters, expected at least one"))),
        count => Ok(format!("{count} adapters are merged into their weights")),
    }
}

/// Writes the adapters of a model to a folder, for PEFT. `base` is the folder that its weights were imported from.
///
/// # Errors
/// [`Error::Input`] for a model without adapters, a base that is another net, and a folder that cannot be written.
pub fn export(model: &Model, weights: &Weights, base: &Path, folder: &Path) -> Result<()> {
    let lora = model.lora.as_ref().ok_or_else(|| {
        Error::input(format!("the model {} has no adapters; expected one that train --lora made", model.name))
    })?;
    let named = |error| in_context(&base.display().to_string(), error);
    let settings = Settings::new(object(&base.join(CONFIG), LARGEST_CONFIG_BYTES)?);
    let family = family(&settings).map_err(named)?;
    let Net { model: net, sources, .. } = (family.net)(&settings, model.vocabulary()).map_err(named)?;
    let params = net.params()?;
    let of_model = Model { lora: None, ..model.clone() }.params()?;
    let shapes = |params: &[ParamSpec]| -> Vec<(String, Vec<usize>)> {
        params.iter().map(|param| (param.name.clone(), param.file_shape.clone())).collect()
    };
    if shapes(&params) != shapes(&of_model) {
        return Err(named(Error::input(
            "its net has other weights than the model, expected the one it was imported from",
        )));
    }
    let (mut tensors, mut modules, mut transposed) = (Vec::new(), Vec::new(), Vec::new());
    for (param, source) in params.iter().zip(&sources).filter(|(param, _)| lora.on.contains(&param.name)) {
        let [a, b] = Lora::names(&param.name);
        let missing = || Error::input(format!("found no adapter of {}, expected it", param.name));
        let (a, b) = (weights.get(&a).ok_or_else(missing)?, weights.get(&b).ok_or_else(missing)?);
        let mut first = 0;
        for (part, rows) in source.iter().zip(rows(source, &param.file_shape)) {
            let name = part.folder().trim_end_matches(".weight");
            let module = if name == "lm_head" { name.to_owned() } else { format!("{}{name}", family.prefix) };
            let values = b.values[first * lora.rank..][..rows * lora.rank].to_vec();
            let tensor = |which: &str, shape: Vec<usize>, values: Vec<f32>| NamedTensor {
                name: format!("{BASE}{module}.lora_{which}.weight"),
                shape,
                values,
            };
            tensors.push(tensor("A", a.shape.clone(), a.values.clone()));
            tensors.push(tensor("B", vec![rows, lora.rank], values));
            transposed.push(part.how() == How::Transposed);
            modules.push(module);
            first += rows;
        }
    }
    let config = json!({
        "peft_type": "LORA",
        "task_type": family.task,
        "base_model_name_or_path": base.display().to_string(),
        "r": lora.rank,
        "lora_alpha": lora.rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": transposed.contains(&true),
        "target_modules": modules,
        "inference_mode": true,
    });
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::input(format!("{}: the folder cannot be made: {error}", folder.display())))?;
    write_whole(&folder.join(ADAPTER_WEIGHTS), &to_safetensors(&tensors, None)?)?;
    write_whole(&folder.join(ADAPTER_CONFIG), format!("{config:#}\n").as_bytes())
}

/// The rows of each part of a parameter: queries are as many as features and keys as values, gates as what they gate.
fn rows(source: &Source, shape: &[usize]) -> Vec<usize> {
    let (all, features) = (shape[0], shape[1]);
    match source.len() {
        3 => vec![features, (all - features) / 2, (all - features) / 2],
        parts => vec![all / parts; parts],
    }
}
