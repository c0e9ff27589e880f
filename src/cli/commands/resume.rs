//! `wgrad train --resume`: from a run folder back to a run.

use crate::cli::args::train::TrainArgs;
use crate::cli::commands::report;
use crate::cli::commands::session::{SHEET, Session, open_data, test, with_way_on};
use crate::cli::terminal::progress::Progress;
use crate::data::{BUILT_IN, Dataset};
use crate::device::Device;
use crate::device::choice::listing::device_json;
use crate::device::choice::{Choice, DeviceRequest};
use crate::error::{Error, Result};
use crate::train::epochs::trainer::Trainer;
use crate::train::run::checkpoints::{Checkpoints, Which};
use crate::train::run::{Resume, RunConfig, RunFolder, TEST, files};
use crate::train::state::checkpoint::{Checkpoint, State};
use serde_json::json;
use std::fs::File;
use std::path::Path;

/// Goes on with the run in a folder; `None` where it is finished and nothing but files had to be made.
///
/// # Errors
/// [`Error::Input`] where the folder has no checkpoint, a damaged one, or another run going on in it;
/// [`Error::Failed`] where it cannot be written.
pub(in crate::cli) fn resume(run: &Path, args: &TrainArgs, progress: &mut Progress) -> Result<Option<Session>> {
    let which = if args.from_previous { Which::Previous } else { Which::Last };
    let checkpoints = Checkpoints::of(run);
    checkpoints.find(which)?;
    // Locked first, so that nobody writes what is read here.
    let last = checkpoints.path("last");
    let lock = files::lock(run).map_err(|e| with_way_on(e, run, last.exists().then_some((&last, None))))?;
    let checkpoint = checkpoints.read(which)?;
    let mut config = settings(run, args)?;
    let asked = crate::cli::request(args.device.as_deref(), config.device.as_deref())?;
    config.device = Some(asked.text());
    config.train.check()?;
    let state = &checkpoint.state;
    state.check(&config.train, &state.data)?;
    let goal = state.goal(&config.train);
    let mut reached = state.progress.clone();
    if goal.last < reached.step {
        let (steps, epochs) = (reached.step, reached.epoch() - usize::from(reached.finished(goal)));
        return Err(Error::input(format!(
            "{}: found a run of {steps} steps in epoch {epochs}, expected one shorter than the {} steps asked for",
            run.display(),
            goal.last
        )));
    }
    let finished = reached.finished(goal);
    reached.reopen(goal);
    let mut from = Resume {
        which,
        checkpoint: &checkpoint,
        progress: &reached,
        config: &config,
        data_folder: state.data_folder.clone(),
        device_json: None,
    };
    let named = |e| with_way_on(e, run, Some((&last, Some(state.progress.step))));
    let model = &checkpoint.model;
    if finished {
        let folder = open(run, lock, &from).map_err(named)?;
        folder.model(checkpoint.answers(), model).map_err(named)?;
        let lacks = |wanted: bool, name: &str| wanted && !run.join(name).exists();
        if lacks(config.train.validation_split.is_some(), TEST) || lacks(model.is_segmentation()?, SHEET) {
            let (data, _, _, mut trainer) =
                rebuild(&config, asked, &checkpoint, from.data_folder.as_deref(), progress)?;
            progress.clear();
            test(&mut trainer, &folder, model, &data, progress)?;
        }
        if !args.no_report && !report::exists(run) {
            report::again(run, None, None)?;
        }
        let (epochs, step) = (reached.metrics.len(), reached.step);
        progress.say(&format!(
            "{}: the run is finished, {epochs} epochs and {step} steps; --epochs N prolongs it",
            run.display()
        ));
        progress.json(&json!({ "event": "finished", "run": run, "epochs": epochs, "step": step }))?;
        return Ok(None);
    }
    // Where the data was when the run began, wherever this command was called; a flag goes before it.
    if let Some(data) = &args.data {
        from.data_folder = RunConfig { data: data.clone(), ..RunConfig::default() }.data_folder();
    }
    let (data, device, choice, trainer) = rebuild(&config, asked, &checkpoint, from.data_folder.as_deref(), progress)?;
    let device_json = device_json(&choice).map_err(|e| Error::failed(format!("device.json: {e}")))?;
    from.device_json = Some(device_json.clone());
    progress.clear();
    let folder = open(run, lock, &from).map_err(named)?;
    progress.say(&format!(
        "going on with {} at step {} of {}, in epoch {}",
        run.display(),
        reached.step,
        goal.last,
        reached.epoch()
    ));
    Ok(Some(Session { config, model: model.clone(), data, device, device_json, trainer, folder }))
}

/// The data from its folder, the device, why it was chosen, and the trainer as it was at the checkpoint.
fn rebuild(
    config: &RunConfig,
    asked: DeviceRequest,
    checkpoint: &Checkpoint,
    data_folder: Option<&str>,
    progress: &mut Progress,
) -> Result<(Dataset, Device, Choice, Trainer)> {
    let place = match (data_folder, config.data.as_str()) {
        (_, BUILT_IN) | (None, _) => config.data.clone(),
        (Some(folder), _) => folder.into(),
    };
    let data = open_data(&RunConfig { data: place, ..config.clone() }, progress)?;
    let (device, choice) =
        crate::cli::open(DeviceRequest { require_gpu: config.require_gpu, ..asked }, config.threads)?;
    warn_of_changes(&checkpoint.state, &device.identity());
    progress.building(&device);
    let mut trainer = Trainer::new(&device, &checkpoint.model, &data, &config.train, Some(&checkpoint.weights))?;
    trainer.restore(checkpoint)?;
    Ok((data, device, choice, trainer))
}

/// The run's settings, with the flags that may change them.
fn settings(run: &Path, args: &TrainArgs) -> Result<RunConfig> {
    let mut config = RunConfig::read(&run.join("config.toml"))?;
    if let Some(epochs) = args.epochs {
        // So many epochs are wanted, whatever had ended the run.
        (config.train.epochs, config.train.max_steps, config.train.patience) = (epochs, None, None);
    }
    config.train.max_steps = args.max_steps.or(config.train.max_steps);
    config.device = match &args.device {
        Some(device) => Some(device.clone()),
        None if config.device.as_deref() == Some("auto") && ran_on_software(run) => Some("software".into()),
        None => config.device,
    };
    config.threads = args.threads.unwrap_or(config.threads);
    config.require_gpu |= args.require_gpu;
    config.data = args.data.clone().unwrap_or(config.data);
    config.checkpoint_every = args.checkpoint_every.or(config.checkpoint_every);
    Ok(config)
}

/// Whether a run's `device.json` names a software adapter: `auto` took one before it took the native CPU, and a run of then
/// goes on where it was.
fn ran_on_software(run: &Path) -> bool {
    let text = std::fs::read_to_string(run.join("device.json")).unwrap_or_default();
    serde_json::from_str(&text).is_ok_and(|found: serde_json::Value| found["device"]["type"] == "software")
}

/// Opens the folder and says what of it cannot be brought back.
fn open(run: &Path, lock: File, from: &Resume) -> Result<RunFolder> {
    let (folder, notice) = RunFolder::resume(run, lock, from)?;
    if let Some(notice) = notice {
        eprintln!("note: {notice}");
    }
    Ok(folder)
}

/// Says where the run can no longer end in the same bytes.
fn warn_of_changes(state: &State, device: &str) {
    let own = env!("CARGO_PKG_VERSION");
    for (what, found, expected) in [("device", device, &state.device[..]), ("version of wgrad", own, &state.version)] {
        if found != expected {
            eprintln!(
                "note: the checkpoint was written on another {what}, {expected}; on {found} the run goes on, but not to \
                 the same bytes"
            );
        }
    }
}
