//! `wgrad import`: imports weights from PyTorch or Keras, and pretrained language models.

use crate::cli::{print, say};
use crate::counted::grouped;
use crate::error::{Error, Result, in_context};
use crate::files::{Inputs, check_output, write_whole};
use crate::model::formats::import::{Hints, Order, headed, import};
use crate::model::formats::pretrained::{Pretrained, is_pretrained};
use crate::model::layers::Transformer;
use crate::model::presets::Preset;
use crate::model::{Model, Weights};
use crate::text::Tokenizer;
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Import weights from PyTorch or Keras, or a pretrained language model
#[derive(Debug, Args)]
#[command(after_help = "\
A folder with config.json, model.safetensors and a tokenizer (GPT-2, Llama and BERT, as Hugging Face has them) or a GGUF file \
(F32, F16, Q8_0, Q4_0, Q4_1) says itself what net it is.

Layers that name their `module`, as those of the presets with torchvision's names do, take its weights. For other models, \
modules such as conv1.weight and conv1.bias are assigned to the layers whose shapes they fit, and by the numbers in their \
names if several layers have the same shape. The match is printed.

Examples:
  wgrad import pytorch.safetensors --model mnist-cnn
  wgrad import resnet18.safetensors --model resnet18 --out resnet18-wgrad.safetensors
  wgrad import keras.safetensors --model net.toml --out net.safetensors
  wgrad import SmolLM2-135M --out smollm2.safetensors
  wgrad import SmolLM2-135M --adapter my-lora --out mine.safetensors
  wgrad import SmolLM2-135M-Instruct.Q4_1.gguf --out smollm2.safetensors")]
pub struct ImportArgs {
    /// The weights, a safetensors file; or a pretrained model, a folder with config.json or a GGUF file
    file: PathBuf,
    /// A preset or a model file, for weights without a net
    #[arg(long, short, value_name = "NAME|FILE.toml")]
    model: Option<String>,
    /// The model file to write [default: model.safetensors, which must not exist]
    #[arg(long, short, value_name = "OUT")]
    out: Option<PathBuf>,
    /// The layout of the weights, if shapes and names do not decide it
    #[arg(long, value_enum)]
    order: Option<Order>,
    /// Modules for layers, such as 0=stem,2=body, if shapes and names do not decide it
    #[arg(long, value_name = "LAYER=MODULE", value_delimiter = ',', value_parser = mapped)]
    map: Vec<(usize, String)>,
    /// Take the weights that fit by name, draw those that are missing, and leave out those that the model does not have
    #[arg(long)]
    partial: bool,
    /// The height and width of the images that the model reads, of a preset
    #[arg(long, value_name = "N|HxW", value_parser = crate::train::settings::flags::image_size)]
    image_size: Option<[usize; 2]>,
    /// The tokenizer.json of a pretrained model, in place of its own
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Low-rank adapters of a pretrained model, a folder that PEFT wrote, to merge into its weights
    #[arg(long, value_name = "FOLDER")]
    adapter: Option<PathBuf>,
}

fn mapped(text: &str) -> Result<(usize, String), String> {
    let (layer, module) = text.split_once('=').ok_or("expected LAYER=MODULE")?;
    Ok((layer.trim().parse().map_err(|e| format!("layer {layer:?}: {e}"))?, module.trim().into()))
}

/// Matches, shows the match, and writes.
pub fn run(args: ImportArgs) -> Result<()> {
    let out = match &args.out {
        Some(out) => out.clone(),
        None => {
            let out = PathBuf::from("model.safetensors");
            match out.exists() {
                true => {
                    return Err(Error::input("model.safetensors exists already: choose another file with --out"));
                }
                false => out,
            }
        }
    };
    check_output(&out, "safetensors")?;
    Inputs::of([&*args.file]).spare(&out)?;
    let notes = match is_pretrained(&args.file) {
        true => pretrained(&args, &out)?,
        false => modules(args, &out)?,
    };
    notes.iter().for_each(|note| say(&format!("note: {note}")));
    say(&format!("saved {}", out.display()));
    Ok(())
}

/// Weights that are matched to the layers of a net.
fn modules(args: ImportArgs, out: &Path) -> Result<Vec<String>> {
    let file = &args.file;
    for (option, given) in [("--tokenizer", args.tokenizer.is_some()), ("--adapter", args.adapter.is_some())] {
        if given {
            return Err(Error::input(format!(
                "{option}: expected a pretrained model, a folder with config.json or a GGUF file"
            )));
        }
    }
    let Some(model) = &args.model else {
        let (shown, folder) = (file.display(), file.is_dir());
        let found = if folder { "a folder without config.json" } else { "weights without a net" };
        return Err(Error::input(format!(
            "{shown}: found {found}, expected --model NAME or --model FILE.toml with it"
        )));
    };
    let model = match args.image_size {
        None => Model::without_data(model)?,
        Some([height, width]) => {
            let preset = Preset::named(model)?;
            let [_, _, channels] = Model::without_data(model)?.image()?;
            preset.model([height, width, channels], preset.classes)?
        }
    };
    let ((_, weights), converted) = Weights::load_any(file)?;
    let named = |e| in_context(&file.display().to_string(), e);
    let classes = model.classes()?;
    let model = headed(&weights, model).map_err(named)?;
    let mut notes = Vec::new();
    if model.classes()? != classes {
        let found = model.classes()?;
        notes.push(format!("the file has {found} classes, the model {classes}: the file's are taken"));
    }
    let hints = Hints { order: args.order, map: args.map, partial: args.partial };
    let found = import(&weights, &model, &hints).map_err(named)?;
    write_whole(out, &found.weights.to_bytes(&model)?)?;
    print(&found.to_string())?;
    notes.extend(widened(converted).chain(found.notes));
    Ok(notes)
}

/// A model that says itself what net it is.
fn pretrained(args: &ImportArgs, out: &Path) -> Result<Vec<String>> {
    let given = [
        ("--model", args.model.is_some()),
        ("--order", args.order.is_some()),
        ("--map", !args.map.is_empty()),
        ("--partial", args.partial),
        ("--image-size", args.image_size.is_some()),
    ];
    if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
        let shown = args.file.display();
        return Err(Error::input(format!("{option}: {shown} says itself what net it is; expected no {option}")));
    }
    let tokenizer = args.tokenizer.as_deref().map(Tokenizer::open).transpose()?;
    let Pretrained { model, weights, kind, converted, notes } =
        Pretrained::open(&args.file, tokenizer, args.adapter.as_deref())?;
    write_whole(out, &weights.to_bytes(&model)?)?;
    let count: usize = weights.tensors.iter().map(|tensor| tensor.values.len()).sum();
    let blocks = model.layers.iter().filter(|layer| layer.is::<Transformer>()).count();
    let (tokens, places) = (model.vocabulary(), model.input[0]);
    print(&format!(
        "{kind}: {} parameters, {blocks} blocks, {} tokens, texts of {} places\n",
        grouped(count as u64),
        grouped(tokens as u64),
        grouped(places as u64)
    ))?;
    Ok(widened(converted).chain(notes).collect())
}

/// What is said of types of elements that became 32-bit floats.
fn widened(converted: BTreeMap<String, usize>) -> impl Iterator<Item = String> {
    converted.into_iter().map(|(dtype, count)| format!("{count} tensors of type {dtype} became F32"))
}
