//! The command line: one file per subcommand, exit status 0 done, 1 failed, 2 bad usage or bad input.

mod args;
mod commands;
mod terminal;

use crate::device::Device;
use crate::device::choice::{Choice, DeviceRequest, NamedBy};
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::printable::{message, printable};
use crate::sys::begin_command;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Train neural networks on any GPU: WGSL compute shaders, no CUDA, no Python.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = "Example:\n  wgrad train --epochs 1")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<args::train::TrainArgs>),
    Eval(commands::eval::EvalArgs),
    Predict(commands::predict::PredictArgs),
    Generate(commands::generate::GenerateArgs),
    Export(commands::export::ExportArgs),
    Import(commands::import::ImportArgs),
    Report(commands::report::ReportArgs),
    Runs(commands::runs::RunsArgs),
    Verify(commands::verify::VerifyArgs),
    Trace(commands::trace::TraceArgs),
    Data(commands::data::DataArgs),
    Devices(commands::devices::DevicesArgs),
    Summary(commands::summary::SummaryArgs),
    Plan(commands::plan::PlanArgs),
    Bench(commands::bench::BenchArgs),
    Completions(commands::completions::CompletionsArgs),
    Man(commands::man::ManArgs),
}

/// Runs the command; clap itself answers bad usage with status 2.
pub fn main() -> ExitCode {
    begin_command();
    let cli = Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
    let done = match cli.command {
        Command::Train(args) => return status(commands::train::run(*args)),
        Command::Eval(args) => commands::eval::run(args),
        Command::Predict(args) => commands::predict::run(args),
        Command::Generate(args) => commands::generate::run(args),
        Command::Export(args) => commands::export::run(args),
        Command::Import(args) => commands::import::run(args),
        Command::Report(args) => commands::report::run(args),
        Command::Runs(args) => commands::runs::run(args),
        Command::Verify(args) => commands::verify::run(args),
        Command::Trace(args) => commands::trace::run(args),
        Command::Data(args) => commands::data::run(args),
        Command::Devices(args) => commands::devices::run(args),
        Command::Summary(args) => commands::summary::run(args),
        Command::Plan(args) => commands::plan::run(args),
        Command::Bench(args) => commands::bench::run(args),
        Command::Completions(args) => commands::completions::run(args),
        Command::Man(args) => commands::man::run(args),
    };
    status(done.map(|()| ExitCode::SUCCESS))
}

/// The command, whose errors show the usage line that its help has: clap's own has the required words and the flag that it
/// suggests, as if that flag were required too.
fn command() -> clap::Command {
    fn fixed(command: clap::Command) -> clap::Command {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.strip_prefix("Usage: ").map(ToOwned::to_owned);
        command.override_usage(usage.unwrap_or_default()).mut_subcommands(fixed)
    }
    let mut command = Cli::command();
    // Names the subcommands by all their words.
    command.build();
    command.mut_subcommands(fixed)
}

/// Whether these words, of which the first is the program's name, are a command line; nothing is run.
///
/// # Errors
/// The text that clap would print, which may also be the help.
pub fn check_words<W: Into<OsString> + Clone>(
    words: impl IntoIterator<Item = W>,
) -> std::result::Result<(), clap::Error> {
    command().try_get_matches_from(words).and_then(|found| Cli::from_arg_matches(&found)).map(drop)
}

/// The exit status; errors go to stderr.
fn status(done: Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        say(&format!("error: {error}"));
        ExitCode::from(match error {
            Error::Failed(_) => 1,
            Error::Input(_) => 2,
        })
    })
}

/// Prints to stdout, with control characters escaped; a closed pipe is not an error.
fn print(text: &str) -> Result<()> {
    print_as_is(&printable(text))
}

/// Prints what a net or a table says to stdout: to a pipe or a file exactly, to a terminal as [`print`].
fn print_exactly(text: &str) -> Result<()> {
    use std::io::IsTerminal;
    if std::io::stdout().is_terminal() { print(text) } else { print_as_is(text) }
}

/// Writes a file, whole or not at all, and says so on stderr; `-` stands for stdout.
fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    if path == Path::new("-") {
        return put(bytes);
    }
    write_whole(path, bytes)?;
    say(&format!("saved {}", path.display()));
    Ok(())
}

/// Prints to stdout with the escapes of our own.
fn print_as_is(text: &str) -> Result<()> {
    put(text.as_bytes())
}

/// Bytes on stdout; a closed pipe is not an error.
fn put(bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    match std::io::stdout().write_all(bytes) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::failed(format!("standard output: {e}"))),
        _ => Ok(()),
    }
}

/// Columns of stdout; where it is no terminal, enough for ten classes in one table.
fn columns() -> usize {
    terminal_columns().unwrap_or(100)
}

/// Columns of stdout, where it is a terminal.
fn terminal_columns() -> Option<usize> {
    use std::io::IsTerminal;
    let columns = || console::Term::stdout().size_checked().map_or(80, |(_, columns)| usize::from(columns));
    std::io::stdout().is_terminal().then(columns)
}

/// Prints to stdout; on a terminal, lines that are too wide are wrapped between words.
fn print_fitted(text: &str) -> Result<()> {
    let Some(columns) = terminal_columns() else { return print(text) };
    let fitted = |line: &str| match line.chars().count() > columns {
        true => terminal::lines::wrapped(line, columns) + "\n",
        false => format!("{line}\n"),
    };
    print(&text.lines().map(fitted).collect::<String>())
}

/// Prints the device's notice on stderr once steps are built.
fn note(device: &Device) {
    if let Some(notice) = device.notice() {
        say(&format!("note: {notice}"));
    }
}

/// Whether nothing is said on stderr: by the processes of a run that the first one speaks for.
static MUTED: AtomicBool = AtomicBool::new(false);

/// Says nothing on stderr from now on, or something again.
fn mute(on: bool) {
    MUTED.store(on, Ordering::Relaxed);
}

/// Lines on stderr, wrapped on a terminal, with their prefix coloured as clap does; the only writer of stderr.
///
/// A reader that is gone, a full disk or a closed terminal ends no work: there is no other place to say so.
fn say(text: &str) {
    use std::io::{IsTerminal, Write};
    if MUTED.load(Ordering::Relaxed) {
        return;
    }
    let text = message(text);
    let shown = match std::io::stderr().is_terminal() {
        false => text.into_owned(),
        true => {
            let width = terminal::progress::width();
            let lines: Vec<String> =
                text.lines().map(|line| terminal::lines::marked(&terminal::lines::wrapped(line, width))).collect();
            lines.join("\n")
        }
    };
    let _ = std::io::stderr().write_all((shown + "\n").as_bytes());
}

/// The device's flags, the same in every subcommand that needs one.
#[derive(Clone, Debug, Args)]
struct DeviceArgs {
    #[arg(long, value_name = "D", help = crate::device::choice::HELP)]
    device: Option<String>,
    /// Threads of the native CPU; 0 uses all cores
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
}

impl DeviceArgs {
    fn open(&self) -> Result<(Device, Choice)> {
        open(request(self.device.as_deref(), None)?, self.threads)
    }
}

/// The requested device: by the flag, else by the key `device` of a `config.toml`, else by WGRAD_DEVICE, else auto.
fn request(flag: Option<&str>, key: Option<&str>) -> Result<DeviceRequest> {
    match (flag, key) {
        (Some(flag), _) => DeviceRequest::parse(flag, NamedBy::Flag),
        (None, Some(key)) => DeviceRequest::parse(key, NamedBy::File),
        (None, None) => DeviceRequest::from_env(),
    }
}

/// More threads than any machine can use; starting them all would block the system.
const MOST_THREADS: usize = 1024;

/// Opens a device and says which and why on stderr, in one line.
fn open(request: DeviceRequest, threads: usize) -> Result<(Device, Choice)> {
    if threads > MOST_THREADS {
        return Err(Error::input(format!("threads {threads}: at most {MOST_THREADS} is expected, or 0 for all cores")));
    }
    let (device, choice) = pollster::block_on(Device::open(&request, threads))?;
    say(&choice.line());
    Ok((device, choice))
}

#[cfg(test)]
mod tests;
