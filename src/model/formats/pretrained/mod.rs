//! Pretrained language models: a folder as Hugging Face has it, or a GGUF file, becomes a model, its weights and its tokenizer.

mod bert;
mod blocks;
mod folder;
mod gguf;
mod gpt2;
mod llama;
pub mod peft;
mod settings;
mod tensors;

use crate::error::{Error, Result, in_context};
use crate::model::formats::weights::NamedTensor;
use crate::model::{Model, Weights};
use crate::text::Tokenizer;
use settings::Settings;
use std::collections::BTreeMap;
use std::path::Path;
use tensors::{Source, Tensors};

/// A model that was pretrained elsewhere.
#[derive(Clone, Debug)]
pub struct Pretrained {
    /// The net, with its tokenizer.
    pub model: Model,
    /// Its weights, under the names of the model.
    pub weights: Weights,
    /// The type of the model, as its file has it.
    pub kind: String,
    /// Types of elements that became 32-bit floats, and the number of tensors of each.
    pub converted: BTreeMap<String, usize>,
    /// What was left out, or is done otherwise here.
    pub notes: Vec<String>,
}

/// Where a file's names of tensors come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    /// A folder with config.json.
    Folder,
    /// A GGUF file, whose names and order of rows are llama.cpp's.
    Gguf,
}

/// A family of nets: an entry for each.
struct Family {
    /// The types of model that it reads, as `model_type` or `general.architecture` have them.
    types: &'static [&'static str],
    /// What the usual class of the net puts before the names of a folder.
    prefix: &'static str,
    /// Its task, as PEFT names it.
    task: &'static str,
    /// The net by its settings, for this many tokens.
    net: fn(&Settings, usize) -> Result<Net>,
}

/// A net of a family, and where its parameters are in a file.
struct Net {
    model: Model,
    /// Where the values of each parameter are, in the order of the parameters.
    sources: Vec<Source>,
    /// The endings of names that are no part of it.
    left_out: &'static [&'static str],
    notes: Vec<String>,
}

/// All of them.
const FAMILIES: &[Family] = &[gpt2::FAMILY, llama::FAMILY, bert::FAMILY];

/// Everything that a file or folder says, before the net is built.
struct Found {
    container: Container,
    settings: Settings,
    tensors: Tensors,
    tokenizer: Tokenizer,
    notes: Vec<String>,
}

/// The family of a net.
fn family(settings: &Settings) -> Result<&'static Family> {
    let kind = settings.kind()?;
    FAMILIES.iter().find(|family| family.types.contains(&kind)).ok_or_else(|| {
        let known: Vec<&str> = FAMILIES.iter().flat_map(|family| family.types.iter().copied()).collect();
        let kind = kind.escape_debug();
        Error::input(format!("found a model of type {kind}, expected {}", known.join(", ")))
    })
}

/// Whether this is a pretrained model as [`Pretrained::open`] reads it.
pub fn is_pretrained(path: &Path) -> bool {
    path.join(folder::CONFIG).is_file() || gguf::is_gguf(path)
}

impl Pretrained {
    /// Reads a folder with config.json, model.safetensors and a tokenizer, or a GGUF file. A `tokenizer` that is given takes the
    /// place of theirs. The adapters of a folder of PEFT's are merged into the weights of a folder.
    ///
    /// # Errors
    /// [`Error::Input`] for files that cannot be read or are not whole, nets of other families, and settings that would make
    /// another net than the one that is built here.
    pub fn open(path: &Path, tokenizer: Option<Tokenizer>, adapters: Option<&Path>) -> Result<Pretrained> {
        let found = match (path.is_dir(), adapters) {
            (true, adapters) => folder::read(path, tokenizer, adapters)?,
            (false, None) => gguf::read(path, tokenizer)?,
            (false, Some(adapters)) => {
                let (shown, adapters) = (path.display(), adapters.display());
                return Err(Error::input(format!(
                    "{adapters}: found adapters for the GGUF file {shown}, expected the folder of their base model"
                )));
            }
        };
        found.build().map_err(|error| in_context(&path.display().to_string(), error))
    }
}

impl Found {
    fn build(mut self) -> Result<Pretrained> {
        let kind = self.settings.kind()?.to_owned();
        let Net { mut model, sources, left_out, mut notes } =
            (family(&self.settings)?.net)(&self.settings, self.tokenizer.tokens().len())?;
        notes.append(&mut self.notes);
        notes.extend(self.fit_vocabulary(&model)?);
        notes.extend(self.tokenizer.before().map(|token| {
            let token = crate::printable::printable(&self.tokenizer.tokens()[token as usize]);
            format!(
                "its tokenizer puts {token} before every text: generate puts it before a prompt, training leaves it out"
            )
        }));
        model.text = Some(self.tokenizer);
        model.check()?;
        let params = model.params()?;
        let (mut tensors, mut taken) = (Vec::with_capacity(params.len()), Vec::new());
        for (param, source) in params.into_iter().zip(&sources) {
            let values = self.tensors.take(source, self.container, &param.file_shape, &mut taken)?;
            tensors.push(NamedTensor { name: param.name, shape: param.file_shape, values });
        }
        notes.extend(self.tensors.rest(&taken, left_out)?);
        let weights = Weights::new(tensors);
        weights.check_against(&model)?;
        if let Some(wild) = weights.wild() {
            return Err(Error::input(format!("found {wild}, expected finite weights")));
        }
        Ok(Pretrained { model, weights, kind, converted: self.tensors.converted, notes })
    }

    /// Cuts rows of embeddings that no token has.
    fn fit_vocabulary(&mut self, model: &Model) -> Result<Option<String>> {
        let tokens = model.vocabulary();
        let rows = self.tensors.rows_of("token_embd.weight").unwrap_or(tokens);
        let stated = self.settings.size_or(&["vocab_size"], rows)?;
        if stated < tokens {
            return Err(Error::input(format!(
                "found a tokenizer of {tokens} tokens and a model of {stated}, expected at most as many"
            )));
        }
        self.tensors.rows = Some((stated, tokens));
        let cut = stated - tokens;
        Ok((cut > 0).then(|| {
            format!("{cut} rows of the embedding are left out: the tokenizer has {tokens} tokens, the model {stated}")
        }))
    }
}
