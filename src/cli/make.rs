//! `wgrad data make`: data sets to try things with.

use crate::data::{BUILT_IN, Dataset, repeated};
use crate::error::Result;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Make a data set to try things with
#[derive(Debug, Args)]
pub struct MakeArgs {
    #[command(subcommand)]
    what: Made,
}

#[derive(Debug, Subcommand)]
enum Made {
    /// MNIST's training images many times over, each copy moved a little, as IDX files; its test images once
    Repeated {
        /// Copies
        #[arg(long, value_name = "N")]
        times: u32,
        /// The folder that the files are written to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Writes the files.
pub(super) fn run(args: &MakeArgs) -> Result<()> {
    let Made::Repeated { times, out } = &args.what;
    repeated::write(&Dataset::open(BUILT_IN)?, *times, out)?;
    super::print(&format!("saved {}\n", out.display()))
}
