//! `wgrad export`: a stored model in another format.

use crate::cli::{save, say};
use crate::error::{Error, Result};
use crate::files::{Inputs, check_output, write_whole};
use crate::model::Model;
use crate::model::formats::pretrained::peft;
use crate::model::formats::weights::in_run;
use crate::train::predict::TrainedModel;
use clap::Args;
use std::path::{Path, PathBuf};

/// Export a trained model to ONNX; its weights for PyTorch; its adapters merged into its weights, or for PEFT
#[derive(Debug, Args)]
#[command(after_help = "\
The model reads `input`: pictures [N, channels, height, width] with pixels / 255, the numbers of a table [N, columns], or \
the tokens of texts [N, length] as int64; a translator also reads `target`, the tokens written so far. It gives \
`probabilities`: [N, classes], [N, classes, height, width] for masks, or [N, length, tokens] for texts that are \
written; or for a table's numbers `numbers`: [N, targets].

Examples:
  wgrad export runs/mnist-cnn/1/model.safetensors --onnx mnist.onnx
  wgrad export runs/resnet18/1 --state-dict resnet18.safetensors
  wgrad export runs/llama/1 --merge-lora merged.safetensors
  wgrad export runs/llama/1 --peft my-lora --base SmolLM2-135M")]
pub struct ExportArgs {
    /// A model file that wgrad wrote
    file: PathBuf,
    /// The ONNX file to write, or - for stdout
    #[arg(long, value_name = "OUT|-", required_unless_present_any = ["state_dict", "merge_lora", "peft"])]
    onnx: Option<PathBuf>,
    /// The safetensors file to write, weights alone under the names of the PyTorch modules that the layers have
    #[arg(long, value_name = "OUT")]
    state_dict: Option<PathBuf>,
    /// The model file to write, without adapters: each weight with the product of its adapter's two added
    #[arg(long, value_name = "OUT")]
    merge_lora: Option<PathBuf>,
    /// The folder to write, adapters as PEFT reads them
    #[arg(long, value_name = "FOLDER", requires = "base")]
    peft: Option<PathBuf>,
    /// The folder that the pretrained model was imported from
    #[arg(long, value_name = "FOLDER", requires = "peft")]
    base: Option<PathBuf>,
}

/// Writes the model.
pub fn run(args: ExportArgs) -> Result<()> {
    let file = in_run(&args.file);
    for (out, ending) in [(&args.onnx, "onnx"), (&args.merge_lora, "safetensors"), (&args.state_dict, "safetensors")] {
        let Some(out) = out else { continue };
        check_output(out, ending)?;
        Inputs::of([&*file]).spare(out)?;
    }
    let trained = Model::load(&args.file)?;
    if let (Some(folder), Some(base)) = (&args.peft, &args.base) {
        peft::export(&trained.model, &trained.weights, base, folder)?;
        say(&format!("saved {}", folder.display()));
    }
    let had_lora = trained.model.lora.is_some();
    let merged = trained.merged()?;
    if let Some(out) = &args.merge_lora {
        merge(had_lora, &merged, out)?;
    }
    if had_lora && (args.onnx.is_some() || args.state_dict.is_some()) {
        say("note: the adapters are merged into the weights");
    }
    if let Some(out) = &args.state_dict {
        state_dict(&merged, out)?;
    }
    if let Some(out) = &args.onnx {
        save(out, &merged.to_onnx()?)?;
    }
    Ok(())
}

fn state_dict(trained: &TrainedModel, out: &Path) -> Result<()> {
    if !trained.model.has_modules() {
        let name = &trained.model.name;
        return Err(Error::input(format!(
            "state-dict: no layer of the model {name} has a `module`; expected a net with names of PyTorch modules. The names in its \
             own file are those of torch.nn.Sequential: load_state_dict takes that as it is"
        )));
    }
    write_whole(out, &trained.model.state_dict(&trained.weights)?.bare_bytes()?)?;
    say(&format!("saved {}", out.display()));
    Ok(())
}

fn merge(had_lora: bool, merged: &TrainedModel, out: &Path) -> Result<()> {
    if !had_lora {
        let name = &merged.model.name;
        return Err(Error::input(format!(
            "merge-lora: the model {name} has no adapters; expected one that train --lora made"
        )));
    }
    write_whole(out, &merged.weights.to_bytes(&merged.model)?)?;
    say(&format!("saved {}", out.display()));
    Ok(())
}
