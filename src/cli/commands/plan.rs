//! `wgrad plan`: the dispatches and buffers of a training step on a device.

use crate::cli::{DeviceArgs, print};
use crate::device::Device;
use crate::device::gpu::{class_of, limits_of};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::plan::lower::{Target, lower};
use crate::suggest;
use crate::train::settings::options::TrainOptions;
use crate::train::step::Step;
use clap::Args;

/// Print the plan of a training step
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wgrad plan mnist-cnn\n  wgrad plan mnist-cnn --wgsl conv2d_relu_pool")]
pub struct PlanArgs {
    /// A preset or a model file
    model: String,
    /// Batch size
    #[arg(long, short, default_value_t = 128, value_name = "N")]
    batch_size: usize,
    /// Compute activations again in the backward pass, as train --recompute does
    #[arg(long)]
    recompute: bool,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print the WGSL of the plan's kernels whose names begin with KERNEL, as compiled
    #[arg(long, value_name = "KERNEL")]
    wgsl: Option<String>,
}

/// Prints the plan; for the native CPU, the graph that it runs.
pub fn run(args: PlanArgs) -> Result<()> {
    let model = Model::without_data(&args.model)?;
    let options = TrainOptions { batch_size: args.batch_size, recompute: args.recompute, ..TrainOptions::default() };
    options.check()?;
    let step = Step::training(&model, args.batch_size, &options)?;
    let (device, _) = args.device.open()?;
    let Device::Gpu(gpu) = device else {
        if args.wgsl.is_some() {
            return Err(Error::input(
                "--wgsl: found the native CPU, which runs no shaders; expected an adapter, such as --device software",
            ));
        }
        return print(&format!("the native CPU runs the graph op by op:\n{}", step.graph));
    };
    let plan = lower(&step.graph, Target { class: class_of(&gpu), limits: limits_of(&gpu), reuse: true })?;
    let Some(name) = args.wgsl else { return print(&plan.to_string()) };
    let wanted: Vec<_> = plan.kernels.iter().filter(|(id, _)| id.name.starts_with(&name)).collect();
    if wanted.is_empty() {
        let names: Vec<&str> = plan.kernels.keys().map(|id| id.name).collect();
        return Err(Error::input(suggest::unknown("kernel", &name, &names, "")));
    }
    wanted.iter().try_for_each(|(id, kernel)| print(&format!("// {id}\n{}\n", kernel.text)))
}
