//! `wgrad verify`: right gradients on this device, or a clear stop.

use super::summary::{PRESET_CLASSES, PRESET_INPUT};
use super::{DeviceArgs, print};
use crate::error::{Error, Result};
use crate::model::{Model, presets};
use crate::ops;
use crate::verify::{KernelReport, kernels, models};
use clap::Args;

/// Check every kernel, forward and backward, on this device against a double-precision oracle
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wgrad verify --device gpu")]
pub struct VerifyArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Print JSON alone
    #[arg(long)]
    json: bool,
}

/// Checks and prints; what falls short is status 1.
pub fn run(args: VerifyArgs) -> Result<()> {
    let (device, _) = args.device.open()?;
    let reports = kernels(&device, ops::ALL, false)?;
    let mut whole = Vec::new();
    for name in presets::names() {
        whole.push(models::check(&device, &Model::preset(name, PRESET_INPUT, PRESET_CLASSES)?, false)?);
    }
    let failed: Vec<String> = (reports.iter().filter(|r| r.verdict != "pass").map(|r| r.kernel.clone()))
        .chain(whole.iter().filter(|m| m.verdict != "pass").map(|m| m.model.clone()))
        .collect();
    let passed = failed.is_empty();
    print(&match args.json {
        true => {
            let all = serde_json::json!({
                "device": device.name(), "kernels": reports, "models": whole, "passed": passed,
            });
            format!("{all}\n")
        }
        false => table(&reports, &whole),
    })?;
    match passed {
        true => Ok(()),
        false => Err(Error::failed(format!("{} fell short: {}", device.name(), failed.join(", ")))),
    }
}

fn table(reports: &[KernelReport], whole: &[models::ModelReport]) -> String {
    let mut text = format!("{:36} {:>5} {:>11} {:>9}  verdict\n", "kernel", "cases", "worst error", "tolerance");
    for r in reports {
        let (error, tolerance) = (r.worst_error, r.tolerance);
        text += &format!("{:36} {:5} {error:11.2e} {tolerance:9.2e}  {}\n", r.kernel, r.cases, r.verdict);
        if let Some(case) = &r.failed_case {
            text += &format!("  failed: {case}\n");
        }
    }
    text += &format!(
        "\n{:36} {:>5} {:>11} {:>9}  verdict\n",
        "model, one training step", "ops", "worst error", "tolerance"
    );
    for m in whole {
        let (error, tolerance) = (m.worst_error, m.tolerance);
        text += &format!("{:36} {:5} {error:11.2e} {tolerance:9.2e}  {}\n", m.model, m.ops, m.verdict);
        if let Some(what) = &m.failed {
            text += &format!("  failed: {what}\n");
        }
    }
    text
}
