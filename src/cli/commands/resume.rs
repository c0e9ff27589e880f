//! `wgrad train --resume`: from a run folder back to a run.

use crate::cli::args::train::TrainArgs;
use crate::cli::commands::processes::Processes;
use crate::cli::commands::report;
use crate::cli::commands::session::{open_data, say_tested};
use crate::cli::commands::train::{all, open as open_device};
use crate::cli::terminal::progress::Progress;
use crate::counted::counted;
use crate::data::Dataset;
use crate::device::Device;
use crate::device::choice::{Choice, DeviceRequest};
use crate::error::Result;
use crate::printable::shown;
use crate::train::run::checkpoints::Which;
use crate::train::session::{Session, Stopped};
use serde_json::json;
use std::path::Path;

/// Goes on with the run in a folder; `None` if it is finished and nothing but files had to be made.
///
/// # Errors
/// Those of [`Stopped`].
pub(super) fn resume(
    run: &Path,
    args: &TrainArgs,
    progress: &mut Progress,
    processes: Option<&Processes>,
) -> Result<Option<Session>> {
    let which = if args.from_previous { Which::Previous } else { Which::Last };
    // The others have read it before anything is written.
    let mut stopped = all(processes, Stopped::open(run, which, &args.flags.0))?;
    processes.map_or(Ok(()), |processes| processes.agree_on(&stopped))?;
    let config = stopped.config();
    let (require_gpu, threads) = (config.require_gpu, config.threads);
    let asked = crate::cli::request(args.device(config), config.device.as_deref())?;
    stopped.name_device(asked.text());
    let mut open = |stopped: &Stopped| -> Result<(Dataset, Device, Choice)> {
        let data = open_data(&stopped.data_config(), progress)?;
        let (device, choice) = open_device(DeviceRequest { require_gpu, ..asked.clone() }, threads, processes)?;
        stopped.differences(&device).iter().for_each(|why| crate::cli::say(&format!("note: {why}")));
        progress.building(&device);
        Ok((data, device, choice))
    };
    let (step, epoch, epochs) = (stopped.reached().step, stopped.reached().epoch(), stopped.reached().metrics.len());
    if stopped.is_finished() {
        let opened = |stopped: &Stopped| open(stopped).map(|(data, device, _)| (data, device));
        let (tested, notice) = all(processes, pollster::block_on(stopped.finish(opened)))?;
        progress.clear();
        note(notice);
        say_tested(&tested, progress);
        if !args.no_report && (args.flags.0.has("train.keep") || !report::exists(run)) {
            report::again(run)?;
        }
        progress.say(&format!(
            "{}: the run is finished, {} and {}; --epochs N makes it longer",
            run.display(),
            counted(epochs, "epoch"),
            counted(step, "step")
        ));
        progress.json(&json!({ "event": "finished", "run": shown(run), "epochs": epochs, "step": step }))?;
        return Ok(None);
    }
    let last = stopped.goal().last;
    let every = stopped.config().checkpoint_every;
    let (data, device, choice) = all(processes, open(&stopped))?;
    let (session, notice) = match processes {
        None => stopped.go_on(data, (device, &choice)),
        Some(processes) => processes.lead(&choice, every, |ready| stopped.go_on_after(data, (device, &choice), ready)),
    }?;
    progress.clear();
    note(notice);
    progress.say(&format!("going on with {} at step {step} of {last}, in epoch {epoch}", run.display()));
    Ok(Some(session))
}

/// Says what of the folder cannot be brought back.
fn note(notice: Option<String>) {
    notice.iter().for_each(|notice| crate::cli::say(&format!("note: {notice}")));
}
