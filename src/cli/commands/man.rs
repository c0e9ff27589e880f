//! `wgrad man`: the manual, made from the same facts as `--help`.

use crate::cli::{Cli, print};
use crate::error::{Error, Result};
use crate::suggest;
use clap::{Args, CommandFactory};
use clap_mangen::Man;

/// Print the manual page of wgrad, or of a command
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wgrad man train | man -l -
  wgrad man > ~/.local/share/man/man1/wgrad.1")]
pub struct ManArgs {
    /// The command, such as train or bench matmul
    command: Vec<String>,
}

/// Prints the page.
pub fn run(args: ManArgs) -> Result<()> {
    print(&page(&args.command)?)
}

/// The page of a command, by the words that call it.
pub(in crate::cli) fn page(words: &[String]) -> Result<String> {
    let mut command = Cli::command();
    command.build();
    for word in words {
        let known: Vec<String> = command.get_subcommands().map(|known| known.get_name().to_string()).collect();
        let known: Vec<&str> = known.iter().map(|name| &**name).collect();
        let found = command.find_subcommand(word);
        command = found.ok_or_else(|| Error::input(suggest::unknown("command", word, &known, "")))?.clone();
    }
    // A page of its own is called wgrad-train.
    let title = command.get_display_name().unwrap_or("wgrad").to_string();
    let failed = |e: &dyn std::fmt::Display| Error::failed(format!("the manual of {title}: {e}"));
    let mut page = Vec::new();
    Man::new(command).title(title.clone()).render(&mut page).map_err(|e| failed(&e))?;
    String::from_utf8(page).map_err(|e| failed(&e))
}
