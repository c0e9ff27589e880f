//! `wgrad devices`: lists the available devices.

use crate::cli::{columns, print, print_fitted};
use crate::device::choice::listing::{WIDTH, devices_json, table};
use crate::device::gpu::adapter::{list_adapters, with_native_cpu};
use crate::error::{Error, Result};
use clap::Args;

/// List the devices with type, backend, driver, limits and features
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wgrad devices --json")]
pub struct DevicesArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists and prints.
pub fn run(args: DevicesArgs) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let candidates = with_native_cpu(&pollster::block_on(list_adapters()), threads);
    match args.json {
        true => print(&(devices_json(&candidates).map_err(|e| Error::failed(format!("devices: {e}")))? + "\n")),
        false => print_fitted(&table(&candidates, columns().min(WIDTH))),
    }
}
