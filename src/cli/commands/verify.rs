//! `wgrad verify`: checks the kernels and gradients on this device.

use crate::cli::{DeviceArgs, print, save};
use crate::device::Device;
use crate::device::choice::Choice;
use crate::device::gpu::adapter::{list_adapters, with_native_cpu};
use crate::error::{Error, Result};
use crate::files::check_output;
use crate::model::{Model, presets};
use crate::ops::{self, Entry};
use crate::verify::models;
use crate::verify::models::ModelReport;
use crate::verify::report::{Facts, markdown, table};
use crate::verify::{KernelReport, some_kernels};
use clap::Args;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use std::path::{Path, PathBuf};

/// The cases of each op with `--quick`.
const QUICK_CASES: usize = 4;

/// Check every kernel, forward and backward, on this device against a double-precision oracle
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wgrad verify --device gpu\n  wgrad verify matmul mnist-cnn\n  wgrad verify --report verify.md"
)]
pub struct VerifyArgs {
    /// Check only ops, kernels and models whose names contain one of these
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    device: DeviceArgs,
    /// For a first look: check few cases of each op, and no model that is not named
    #[arg(long)]
    quick: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also write a file for a bug report: system, device, driver, limits and every row, as Markdown
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// The results of the checks so far.
#[derive(Default)]
struct Found {
    device: Option<(Device, Choice)>,
    kernels: Vec<KernelReport>,
    models: Vec<ModelReport>,
}

/// Checks and prints; what falls short is status 1.
pub fn run(args: VerifyArgs) -> Result<()> {
    args.report.as_deref().map_or(Ok(()), has_a_place)?;
    let mut found = Found::default();
    let mut done = check(&args, &mut found);
    if let Some(path) = &args.report {
        // Written above all where the checks could not go on.
        let written = write(path, args.device.threads, &found, done.as_ref().err());
        done = done.and(written);
    }
    done
}

fn check(args: &VerifyArgs, found: &mut Found) -> Result<()> {
    let wanted = |name: &str| args.names.is_empty() || args.names.iter().any(|part| name.contains(part.as_str()));
    let ops: Vec<Entry> = (ops::ALL.iter())
        .filter(|op| wanted(op.name) || op.kernels.iter().any(|kernel| wanted(kernel.name)))
        .copied()
        .collect();
    let (slow, models): (Vec<&str>, Vec<&str>) = presets::names()
        .into_iter()
        .filter(|name| wanted(name))
        .partition(|name| args.names.is_empty() && presets::SLOW.contains(name));
    if ops.is_empty() && models.is_empty() {
        let (names, all) = (args.names.join(", "), presets::names().join(", "));
        return Err(Error::input(format!(
            "{names}: found no op, kernel or model of that name, expected one such as matmul, {all}"
        )));
    }
    let models = if args.quick && args.names.is_empty() { Vec::new() } else { models };
    let (device, _) = found.device.insert(args.device.open()?);
    if args.quick {
        crate::cli::say(&format!(
            "note: --quick checks at most {QUICK_CASES} cases of each op, and models that are named"
        ));
    } else if !slow.is_empty() {
        crate::cli::say(&format!("note: {} left out, since it takes minutes; name it to check it", slow.join(", ")));
    }
    // On a terminal alone.
    let bar = ProgressBar::new(0).with_style(style()).with_finish(ProgressFinish::AndClear);
    let progress = |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let most = if args.quick { QUICK_CASES } else { usize::MAX };
    found.kernels = some_kernels(device, &ops, false, (most, &progress))?;
    drop(bar);
    for name in models {
        found.models.push(models::check(device, &Model::without_data(name)?, false)?);
    }
    let failed: Vec<String> = (found.kernels.iter().filter(|r| r.verdict != "pass").map(|r| r.kernel.clone()))
        .chain(found.models.iter().filter(|m| m.verdict != "pass").map(|m| m.model.clone()))
        .collect();
    let passed = failed.is_empty();
    print(&match args.json {
        true => {
            let all = serde_json::json!({
                "device": device.name(), "kernels": found.kernels, "models": found.models, "passed": passed,
            });
            format!("{all}\n")
        }
        false => table(&found.kernels, &found.models),
    })?;
    match passed {
        true => Ok(()),
        false => Err(Error::failed(format!("{} fell short: {}", device.name(), failed.join(", ")))),
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{pos} of {len} cases {bar:20} {elapsed}").unwrap_or(ProgressStyle::default_bar())
}

/// Refuses a report that could not be written, before minutes of work.
fn has_a_place(path: &Path) -> Result<()> {
    check_output(path, "md")?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match folder.is_dir() && !path.is_dir() {
        true => Ok(()),
        false => Err(Error::input(format!("--report {}: expected a file in a folder that exists", path.display()))),
    }
}

fn write(path: &Path, threads: usize, found: &Found, error: Option<&Error>) -> Result<()> {
    let threads = if threads == 0 { std::thread::available_parallelism().map_or(1, |n| n.get()) } else { threads };
    let candidates = with_native_cpu(&pollster::block_on(list_adapters()), threads);
    let text = markdown(&Facts {
        candidates: &candidates,
        device: found.device.as_ref().map(|(device, choice)| (device, choice)),
        kernels: &found.kernels,
        models: &found.models,
        error: error.map(ToString::to_string),
    });
    save(path, text.as_bytes())
}
