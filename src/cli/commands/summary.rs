//! `wgrad summary`: a model's layers, and the memory of its training step.

use crate::cli::{columns, print_fitted};
use crate::error::Result;
use crate::ir::launch::KernelClass;
use crate::model::Model;
use crate::plan::Limits;
use crate::plan::lower::{Target, lower};
use crate::train::settings::options::TrainOptions;
use crate::train::step::Step;
use clap::Args;

/// Print a model's layers as Keras does, and the memory of its training step
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wgrad summary mnist-cnn")]
pub struct SummaryArgs {
    /// A preset or a model file
    model: String,
    /// Batch size, for the memory
    #[arg(long, short, default_value_t = 128, value_name = "N")]
    batch_size: usize,
    /// Compute activations again in the backward pass, as train --recompute does
    #[arg(long)]
    recompute: bool,
}

/// `--recompute` is mentioned where it leaves at most this share of the memory.
const WORTH_IT: f64 = 0.75;

/// Prints the summary.
pub fn run(args: SummaryArgs) -> Result<()> {
    let model = Model::without_data(&args.model)?;
    let limits = Limits { binding_bytes: u64::MAX, buffer_bytes: u64::MAX, ..Limits::PORTABLE };
    let plan = |recompute: bool| {
        let options = TrainOptions { batch_size: args.batch_size, recompute, ..TrainOptions::default() };
        options.check()?;
        // One batch of data: the data set's own size is not the model's matter.
        let step = Step::training(&model, args.batch_size, &options)?;
        lower(&step.graph, Target { class: KernelClass::Tile, limits, reuse: true })
    };
    let (asked, recomputed) = (plan(args.recompute)?, plan(true)?);
    let mut memory = format!("Memory of a training step of {}: {}\n", args.batch_size, asked.memory());
    let [kept, left] = [&asked, &recomputed].map(|plan| plan.total_bytes());
    if left as f64 <= kept as f64 * WORTH_IT {
        memory += &format!("With --recompute: {}\n", recomputed.memory());
    }
    print_fitted(&format!("{}\n{memory}", model.summary_within(columns())?.trim_end()))
}
