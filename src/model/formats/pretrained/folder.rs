//! A folder as Hugging Face has it: config.json, model.safetensors in one part or several, and a tokenizer.

use super::settings::Settings;
use super::tensors::Tensors;
use super::{Container, Found, peft};
use crate::error::{Error, Result};
use crate::files;
use crate::model::Weights;
use crate::text::Tokenizer;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The file that tells what net it is.
pub(super) const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The most bytes of a file of settings, and of one of tokens.
pub(super) const LARGEST_CONFIG_BYTES: u64 = 1 << 20;
const LARGEST_INDEX_BYTES: u64 = 1 << 24;
const LARGEST_TOKENS_BYTES: u64 = 1 << 26;

/// Reads the folder; a folder of `adapters` is merged into its weights.
pub(super) fn read(folder: &Path, tokenizer: Option<Tokenizer>, adapters: Option<&Path>) -> Result<Found> {
    let settings = Settings::new(object(&folder.join(CONFIG), LARGEST_CONFIG_BYTES)?);
    let tokenizer = tokenizer.map_or_else(|| tokens(folder), Ok)?;
    let (mut weights, converted) = weights(folder)?;
    let notes = adapters.map(|adapters| peft::merge(adapters, &mut weights)).transpose()?.into_iter().collect();
    Ok(Found { container: Container::Folder, settings, tensors: Tensors::new(weights, converted), tokenizer, notes })
}

fn fault(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::input(format!("{}: {why}", path.display()))
}

/// The text of a file.
fn text(path: &Path, most: u64) -> Result<String> {
    files::read_text(path, most).map_err(|error| fault(path, format!("it cannot be read: {error}")))
}

/// The JSON object that a file is.
pub(super) fn object(path: &Path, most: u64) -> Result<Map<String, Value>> {
    let found = serde_json::from_str(&text(path, most)?);
    found.map_err(|error| fault(path, format!("found no JSON object: {error}")))
}

/// The tensors of all parts.
fn weights(folder: &Path) -> Result<(Weights, BTreeMap<String, usize>)> {
    let index = folder.join(INDEX);
    let mut parts: BTreeSet<String> = BTreeSet::new();
    if folder.join(WEIGHTS).is_file() {
        parts.insert(WEIGHTS.into());
    } else if index.is_file() {
        let map = object(&index, LARGEST_INDEX_BYTES)?;
        let names = map.get("weight_map").and_then(Value::as_object);
        let names = names.ok_or_else(|| fault(&index, "found no weight_map, expected the file of each tensor"))?;
        for name in names.values() {
            let name = name.as_str().filter(|name| Path::new(name).file_name().is_some_and(|last| last == *name));
            let name =
                name.ok_or_else(|| fault(&index, "found a part that is no file name, expected files beside it"))?;
            parts.insert(name.into());
        }
    } else {
        let is_pickle = folder.join("pytorch_model.bin").is_file();
        let hint = if is_pickle { "; pytorch_model.bin is a pickle: save the model again as safetensors" } else { "" };
        return Err(fault(folder, format!("found no {WEIGHTS}, expected it beside {CONFIG}{hint}")));
    }
    let (mut all, mut converted) = (Vec::new(), BTreeMap::new());
    for part in parts {
        let ((_, weights), kinds) = Weights::load_any(&folder.join(part))?;
        all.extend(weights.tensors);
        kinds.into_iter().for_each(|(kind, count)| *converted.entry(kind).or_default() += count);
    }
    Ok((Weights::new(all), converted))
}

/// The tokenizer: tokenizer.json, or the files of tokens that GPT-2 and BERT have.
fn tokens(folder: &Path) -> Result<Tokenizer> {
    let [whole, vocabulary, merges, words] =
        ["tokenizer.json", "vocab.json", "merges.txt", "vocab.txt"].map(|name| folder.join(name));
    if whole.is_file() {
        return Tokenizer::open(&whole);
    }
    if vocabulary.is_file() && merges.is_file() {
        let pairs = text(&merges, LARGEST_TOKENS_BYTES)?;
        let tokens = object(&vocabulary, LARGEST_TOKENS_BYTES)?;
        return Tokenizer::of_merges(tokens, &pairs).map_err(|why| fault(&vocabulary, why));
    }
    if words.is_file() {
        return Tokenizer::of_word_pieces(&text(&words, LARGEST_TOKENS_BYTES)?).map_err(|why| fault(&words, why));
    }
    Err(fault(folder, "found no tokenizer.json, vocab.json with merges.txt, or vocab.txt; expected one of them"))
}
