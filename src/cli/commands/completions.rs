//! `wgrad completions`: completion scripts for shells.

use crate::cli::{Cli, print};
use crate::error::{Error, Result};
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wgrad completions bash > ~/.local/share/bash-completion/completions/wgrad
  wgrad completions zsh > ~/.zfunc/_wgrad
  wgrad completions fish > ~/.config/fish/completions/wgrad.fish")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub fn run(args: CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "wgrad", &mut script);
    print(&String::from_utf8(script).map_err(|e| Error::failed(format!("completions: {e}")))?)
}
