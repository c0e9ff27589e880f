//! `wgrad bench`: shader and CPU timings of a training step, op by op.

use super::summary::{PRESET_CLASSES, PRESET_INPUT};
use super::{DeviceArgs, print};
use crate::bench::{self, Pair, Report, matmul};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::plan::human_bytes;
use clap::{Args, Subcommand};
use serde::Serialize;

/// Time a training step on a device and on the native CPU, op by op
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wgrad bench --model mnist-deep\n  wgrad bench matmul --size 1024")]
pub struct BenchArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// A preset or a model file
    #[arg(long, default_value = "mnist-cnn", value_name = "NAME|FILE.toml")]
    model: String,
    /// Samples of a step
    #[arg(long, default_value_t = 128, value_name = "N")]
    batch_size: usize,
    /// What the device is compared with
    #[arg(long, default_value = "cpu", value_parser = ["cpu"])]
    against: String,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print JSON alone
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Time one matrix product
    #[command(after_help = "Example:\n  wgrad bench matmul --size 512 --device gpu")]
    Matmul {
        /// Rows, columns and terms
        #[arg(long, default_value_t = 1024, value_name = "N")]
        size: usize,
        #[command(flatten)]
        device: DeviceArgs,
        /// Print JSON alone
        #[arg(long)]
        json: bool,
    },
}

/// Times and prints.
pub fn run(args: BenchArgs) -> Result<()> {
    if let Some(What::Matmul { size, device, json }) = args.what {
        let (opened, _) = device.open()?;
        let found = pollster::block_on(matmul::matmul(&opened, &native(&opened, device.threads)?, size))?;
        return print(&if json { to_json(&found)? } else { product(&found) });
    }
    let model = Model::named_or_file(&args.model, PRESET_INPUT, PRESET_CLASSES)?;
    let (device, _) = args.device.open()?;
    let report =
        pollster::block_on(bench::step(&device, &native(&device, args.device.threads)?, &model, args.batch_size))?;
    print(&if args.json { to_json(&report)? } else { table(&report) })
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

fn product(found: &matmul::MatmulReport) -> String {
    let size = found.size;
    let cpu = format!("gemm crate {:.1} GFLOP/s", found.cpu_gflops);
    match found.shader_gflops {
        None => format!("matmul {size} × {size} × {size}: {cpu}\n"),
        Some(shader) => {
            let ratio = shader / found.cpu_gflops;
            format!("matmul {size} × {size} × {size}: shader {shader:.1} GFLOP/s, {cpu}, ratio {ratio:.2}\n")
        }
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".into(), |value| format!("{value:.digits$}"))
}

fn table(r: &Report) -> String {
    let threads = r.cpu_threads;
    let [least, most] = r.step_ms_range;
    let line = |what: &str, at: fn(&Pair) -> Option<f64>| {
        let [step, least, most] = [r.step_ms, least, most].map(|pair| number(at(&pair), 2));
        format!(
            "{what}: {step} ms a step ({least} to {most}), {} images/s over an epoch\n",
            number(at(&r.images_per_second), 0)
        )
    };
    let mut text = format!("{} at batch {}\n", r.model, r.batch_size);
    if r.step_ms.shader.is_some() {
        text += &line(&format!("shaders on {}", r.device), |pair| pair.shader);
    }
    text += &line(&format!("native CPU, {threads} threads"), |pair| pair.cpu);
    if let (Some(shader), Some(cpu)) = (r.step_ms.shader, r.step_ms.cpu) {
        text += &match cpu < shader {
            true => format!("the CPU is faster here, by {:.1}×\n", shader / cpu),
            false => format!("the shaders are faster, by {:.1}×\n", cpu / shader),
        };
    }
    text += &format!("first step after {:.2} s; buffers {}\n\n", r.first_step_seconds, human_bytes(r.memory_bytes));
    let sum: f64 = r.ops.iter().filter_map(|op| op.shader_ms).sum();
    text += &format!(
        "{:20} {:>10} {:>9} {:>8} {:>9} {:>8} {:>7} {:>6}\n",
        "op", "dispatches", "shader ms", "cpu ms", "shader ×", "GFLOP/s", "GB/s", "share"
    );
    for op in &r.ops {
        let ratio = op.shader_ms.map(|shader| op.cpu_ms / shader);
        let share = op.shader_ms.map_or("–".into(), |ms| format!("{:.0} %", ms / sum * 100.0));
        text += &format!(
            "{:20} {:10} {:>9} {:8.3} {:>9} {:>8} {:>7} {share:>6}\n",
            op.op,
            op.dispatches,
            number(op.shader_ms, 3),
            op.cpu_ms,
            number(ratio, 2),
            number(op.gflops, 1),
            number(op.gbytes_per_second, 1)
        );
    }
    if r.step_ms.shader.is_some() && sum == 0.0 {
        text += "this adapter has no timestamps: its ops were not timed one by one\n";
    }
    text
}
