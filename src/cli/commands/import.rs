//! `wgrad import`: imports weights from PyTorch or Keras.

use crate::cli::print;
use crate::error::{Error, Result, in_context};
use crate::files::{Inputs, check_output, write_whole};
use crate::model::formats::import::{Hints, Order, headed, import};
use crate::model::presets::Preset;
use crate::model::{Model, Weights};
use clap::Args;
use std::path::PathBuf;

/// Import weights from PyTorch or Keras
#[derive(Debug, Args)]
#[command(after_help = "\
Layers that name their `module`, as those of the presets with torchvision's names do, take its weights. For other models, \
modules such as conv1.weight and conv1.bias are assigned to the layers whose shapes they fit, and by the numbers in their \
names if several layers have the same shape. The match is printed.

Examples:
  wgrad import pytorch.safetensors --model mnist-cnn
  wgrad import resnet18.safetensors --model resnet18 --out resnet18-wgrad.safetensors
  wgrad import keras.safetensors --model net.toml --out net.safetensors")]
pub struct ImportArgs {
    /// The weights, a safetensors file
    file: PathBuf,
    /// A preset or a model file
    #[arg(long, short, value_name = "NAME|FILE.toml")]
    model: String,
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
}

fn mapped(text: &str) -> Result<(usize, String), String> {
    let (layer, module) = text.split_once('=').ok_or("expected LAYER=MODULE")?;
    Ok((layer.trim().parse().map_err(|e| format!("layer {layer:?}: {e}"))?, module.trim().into()))
}

/// Matches, shows the match, and writes.
pub fn run(args: ImportArgs) -> Result<()> {
    let model = match args.image_size {
        None => Model::without_data(&args.model)?,
        Some([height, width]) => {
            let preset = Preset::named(&args.model)?;
            let [_, _, channels] = Model::without_data(&args.model)?.image()?;
            preset.model([height, width, channels], preset.classes)?
        }
    };
    let out = match args.out {
        Some(out) => out,
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
    let ((_, file), converted) = Weights::load_any(&args.file)?;
    let named = |e| in_context(&args.file.display().to_string(), e);
    let classes = model.classes()?;
    let model = headed(&file, model).map_err(named)?;
    if model.classes()? != classes {
        crate::cli::say(&format!(
            "note: the file has {} classes, the model {classes}: the file's are taken",
            model.classes()?
        ));
    }
    let found = import(&file, &model, &Hints { order: args.order, map: args.map, partial: args.partial })
        .map_err(|e| in_context(&args.file.display().to_string(), e))?;
    write_whole(&out, &found.weights.to_bytes(&model)?)?;
    print(&found.to_string())?;
    for (dtype, count) in converted {
        crate::cli::say(&format!("note: {count} tensors of type {dtype} became F32"));
    }
    found.notes.iter().for_each(|note| crate::cli::say(&format!("note: {note}")));
    crate::cli::say(&format!("saved {}", out.display()));
    Ok(())
}
