//! `wgrad bench`: shader and CPU timings of a training step, op by op; of one matrix product; by batch size; of several processes.

mod start;
mod table;

use crate::bench;
use crate::bench::first_step::{first_step, peak_resident_bytes};
use crate::bench::{Report, matmul, scale};
use crate::cli::commands::processes::Processes;
use crate::cli::commands::train::open;
use crate::cli::{DeviceArgs, note, print, request};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::Model;
use clap::{Args, Subcommand};
use serde::Serialize;
use start::Start;

const EXAMPLES: &str = "Examples:
  wgrad bench --model mnist-deep
  wgrad bench --device cpu --json
  wgrad bench scale --batch-sizes 32,128,512,2048
  mpirun -n 2 wgrad bench scale --processes --batch-sizes 128
  wgrad bench matmul --size 1024";

/// Time a training step on a device and on the native CPU, op by op
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    step: StepArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A training step.
#[derive(Debug, Args)]
struct StepArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Samples per step
    #[arg(long, short, default_value_t = 128, value_name = "N")]
    batch_size: usize,
    #[command(flatten)]
    device: DeviceArgs,
}

/// The model to time.
#[derive(Debug, Args)]
struct ModelArgs {
    /// A preset or a model file
    #[arg(long, default_value = "mnist-cnn", value_name = "NAME|FILE.toml")]
    model: String,
    /// The device to compare with: the native CPU
    #[arg(long, default_value = "cpu", value_parser = ["cpu"])]
    against: String,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Time a matrix product
    #[command(after_help = "Example:\n  wgrad bench matmul --size 1024")]
    Matmul {
        /// Size of the square matrices
        #[arg(long, default_value_t = 1024, value_name = "N")]
        size: usize,
        #[command(flatten)]
        device: DeviceArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Training throughput by batch size
    #[command(after_help = "Example:\n  wgrad bench scale --model mnist-deep --batch-sizes 32,128")]
    Scale {
        #[command(flatten)]
        model: ModelArgs,
        /// Batch sizes, one row for each
        #[arg(long, value_delimiter = ',', default_value = "32,128,512,2048", value_name = "N,N,…")]
        batch_sizes: Vec<usize>,
        /// Training throughput of several processes, started by mpirun: together, and each by itself
        #[arg(long)]
        processes: bool,
        #[command(flatten)]
        device: DeviceArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The process that `wgrad bench` starts to time a start
    #[command(hide = true)]
    FirstStep {
        #[command(flatten)]
        step: StepArgs,
    },
}

/// The JSON output of a bench: the report, and the times measured from outside.
#[derive(Debug, Serialize)]
struct Found {
    #[serde(flatten)]
    report: Report,
    #[serde(flatten)]
    start: Start,
}

/// Times and prints.
pub fn run(args: BenchArgs) -> Result<()> {
    match args.what {
        None => whole(&args.step, args.json),
        Some(What::FirstStep { step }) => child(&step),
        Some(What::Matmul { size, device, json }) => {
            let (opened, _) = device.open()?;
            let found = pollster::block_on(matmul::matmul(&opened, &native(&opened, device.threads)?, size, None))?;
            print(&if json { to_json(&found)? } else { table::product(&found) })
        }
        Some(What::Scale { model, batch_sizes, processes: true, device, json }) => Processes::bench(|processes| {
            let opened = || {
                let asked = request(device.device.as_deref(), None)?;
                Ok((model.open()?, open(asked, device.threads, Some(processes))?.0))
            };
            let (model, opened) = processes.all(opened())?;
            let found = bench::processes::processes(&opened, processes.others(), &model, &batch_sizes);
            let found = pollster::block_on(found)?;
            Ok(if json { to_json(&found)? } else { table::processes(&found) })
        }),
        Some(What::Scale { model, batch_sizes, processes: false, device, json }) => {
            let model = model.open()?;
            let (opened, _) = device.open()?;
            let cpu = native(&opened, device.threads)?;
            let found = pollster::block_on(scale::scale(&opened, &cpu, &model, &batch_sizes))?;
            note(&opened);
            print(&if json { to_json(&found)? } else { table::scale(&found) })
        }
    }
}

impl ModelArgs {
    fn open(&self) -> Result<Model> {
        Model::without_data(&self.model)
    }
}

fn whole(args: &StepArgs, json: bool) -> Result<()> {
    let model = args.model.open()?;
    let (device, choice) = args.device.open()?;
    let cpu = native(&device, args.device.threads)?;
    let report = pollster::block_on(bench::step(&device, &cpu, &model, args.batch_size, None))?;
    note(&device);
    // What follows runs in other processes, which need the memory and the cores.
    drop((device, cpu));
    let start = start::measure(args, &choice.device)?;
    let found = Found { report, start };
    print(&if json { to_json(&found)? } else { table::step(&found) })
}

/// Says when the first step is back, then what memory it took: the parent reads both lines.
fn child(args: &StepArgs) -> Result<()> {
    let model = args.model.open()?;
    let (device, choice) = args.device.open()?;
    let mut told = Ok(());
    pollster::block_on(first_step(&device, &model, args.batch_size, || told = print(start::DONE)))?;
    told?;
    print(&to_json(&start::Ended { device: choice.device.label(), peak_resident_bytes: peak_resident_bytes() })?)
}

/// The native CPU to compare with: the device itself where it is that.
fn native(device: &Device, threads: usize) -> Result<Device> {
    match device {
        Device::Cpu(_) => Ok(device.clone()),
        Device::Gpu(_) => Device::cpu(threads),
    }
}

fn to_json(report: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(report).map_err(|e| Error::failed(format!("bench: {e}")))?;
    Ok(text + "\n")
}
