//! `wgrad export`: a stored model in another format.

use crate::cli::save;
use crate::error::Result;
use crate::files::{Inputs, check_output};
use crate::model::Model;
use crate::model::formats::weights::in_run;
use clap::Args;
use std::path::PathBuf;

/// Export a trained model to ONNX
#[derive(Debug, Args)]
#[command(after_help = "\
The model reads `input`: pictures [N, channels, height, width] with pixels / 255, the numbers of a table [N, columns], or \
the tokens of texts [N, length] as int64; a translator also reads `target`, the tokens written so far. It gives \
`probabilities`: [N, classes], [N, classes, height, width] for masks, or [N, length, tokens] for texts that are \
written; or for a table's numbers `numbers`: [N, targets].

Example:
  wgrad export runs/mnist-cnn/1/model.safetensors --onnx mnist.onnx")]
pub struct ExportArgs {
    /// A model file that wgrad wrote
    file: PathBuf,
    /// The ONNX file to write, or - for stdout
    #[arg(long, value_name = "OUT|-")]
    onnx: PathBuf,
}

/// Writes the model.
pub fn run(args: ExportArgs) -> Result<()> {
    check_output(&args.onnx, "onnx")?;
    Inputs::of([&*in_run(&args.file)]).spare(&args.onnx)?;
    save(&args.onnx, &Model::load(&args.file)?.to_onnx()?)
}
