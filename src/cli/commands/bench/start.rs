//! Start-up to the first step: fresh processes of this program, timed from outside, with empty caches and with full ones.

use crate::bench::figures::{Range, median, range};
use crate::cli::commands::bench::StepArgs;
use crate::device::choice::candidate::Candidate;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The line that a child prints when its first step is back.
pub const DONE: &str = "first step\n";

/// Starts with empty caches, and as many with what those left there, in turn.
const STARTS: usize = 3;

/// The result of a child process.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ended {
    /// The device, as it is listed.
    pub device: String,
    /// The most memory that the process had resident.
    pub peak_resident_bytes: Option<u64>,
}

/// The results.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Start {
    /// Seconds from the start of a process to the record of its first step, with full caches: the median.
    pub first_step_seconds: f64,
    /// The fastest and the slowest.
    pub first_step_seconds_range: Range,
    /// The same with empty caches; `None` if they cannot be put elsewhere by the environment.
    pub first_step_cold_seconds: Option<f64>,
    /// The fastest and the slowest.
    pub first_step_cold_seconds_range: Option<Range>,
    /// The most memory that such a process had resident; `None` if the system does not report it.
    pub peak_resident_bytes: Option<u64>,
}

/// Starts fresh processes that train one step on this device of the list.
///
/// Each pair begins with an empty folder as the user's cache folder and the drivers': wgrad's pipelines, Mesa's and
/// NVIDIA's shaders go there. That holds on Linux alone; elsewhere drivers keep shaders where no variable reaches,
/// and only the starts with full caches are reported.
pub fn measure(args: &StepArgs, device: &Candidate) -> Result<Start> {
    let (mut cold, mut warm, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let folder = tempfile::tempdir().map_err(|e| Error::failed(format!("no folder for empty caches: {e}")))?;
        cold.push(start(args, device, folder.path())?.0);
        let (seconds, ended) = start(args, device, folder.path())?;
        warm.push(seconds);
        peaks.extend(ended.peak_resident_bytes.map(|bytes| bytes as f64));
    }
    let cold = if cfg!(target_os = "linux") { cold } else { Vec::new() };
    Ok(Start {
        first_step_seconds: median(&warm).unwrap_or(0.0),
        first_step_seconds_range: range(&warm).unwrap_or_default(),
        first_step_cold_seconds: median(&cold),
        first_step_cold_seconds_range: range(&cold),
        peak_resident_bytes: median(&peaks).map(|bytes| bytes as u64),
    })
}

/// One process: seconds from its start to its first step, and what it said at its end.
fn start(args: &StepArgs, device: &Candidate, caches: &Path) -> Result<(f64, Ended)> {
    let failed = |why: &dyn std::fmt::Display| Error::failed(format!("a process to time its start: {why}"));
    let program = std::env::current_exe().map_err(|e| failed(&e))?;
    let mut command = Command::new(program);
    command.args(["bench", "first-step", "--model", &args.model.model]);
    command.args(["--batch-size", &args.batch_size.to_string()]);
    command.args(["--device", &device.index.to_string(), "--threads", &args.device.threads.to_string()]);
    in_folder(&mut command, caches);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().map_err(|e| failed(&e))?;
    let (mut line, mut rest, mut said) = (String::new(), String::new(), String::new());
    let mut seconds = None;
    let out = child.stdout.take().map(BufReader::new);
    // What it says besides is short: it fits the pipe, and can be read after all else.
    let err = child.stderr.take();
    let talked = out.map_or(Ok(0), |mut out| {
        out.read_line(&mut line)?;
        seconds = Some(begun.elapsed().as_secs_f64());
        out.read_to_string(&mut rest)
    });
    let listened = err.map_or(Ok(0), |mut err| err.read_to_string(&mut said));
    let status = child.wait().map_err(|e| failed(&e))?;
    talked.and(listened).map_err(|e| failed(&e))?;
    let (true, Some(seconds)) = (status.success() && line == DONE, seconds) else {
        return Err(failed(&said.lines().last().unwrap_or("it ended without output")));
    };
    let ended: Ended = serde_json::from_str(&rest).map_err(|e| failed(&e))?;
    match ended.device == device.label() {
        true => Ok((seconds, ended)),
        // With other folders another list of devices.
        false => Err(failed(&format!("it found {}, {} is expected", ended.device, device.label()))),
    }
}

/// Puts the user's cache folder and the drivers' shader caches into a folder, and leaves all else where it was.
fn in_folder(command: &mut Command, caches: &Path) {
    let home = std::env::var_os("HOME");
    // These follow HOME where they are not set; drivers may be installed there.
    for (variable, at_home) in [("XDG_DATA_HOME", ".local/share"), ("XDG_CONFIG_HOME", ".config")] {
        if let (Some(home), None) = (&home, std::env::var_os(variable)) {
            command.env(variable, Path::new(home).join(at_home));
        }
    }
    for variable in ["HOME", "XDG_CACHE_HOME", "MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH"] {
        command.env(variable, caches);
    }
    command.env_remove("MESA_GLSL_CACHE_DIR");
}
