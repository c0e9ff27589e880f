//! From a run folder back to a run.

use super::drive::{SHEET, test};
use super::{Session, Tested, json_of, with_way_on};
use crate::data::{BUILT_IN, Dataset};
use crate::device::Device;
use crate::device::choice::Choice;
use crate::error::{Error, Result, in_context};
use crate::model::Model;
use crate::train::epochs::progress::{Goal, Progress};
use crate::train::epochs::trainer::Trainer;
use crate::train::run::checkpoints::{Checkpoints, Which};
use crate::train::run::files::LARGEST_JSON_BYTES;
use crate::train::run::history::History;
use crate::train::run::{Resume, RunFolder, TEST, files};
use crate::train::settings::config::RunConfig;
use crate::train::settings::overlay::Overlay;
use crate::train::state::checkpoint::Checkpoint;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A run that was stopped, or has ended: its folder is locked and its checkpoint is read.
#[derive(Debug)]
pub struct Stopped {
    run: PathBuf,
    // Until the folder is opened.
    lock: Option<File>,
    which: Which,
    checkpoint: Checkpoint,
    config: RunConfig,
    // How far it has come; an epoch that ended before its time may be open again.
    reached: Progress,
    goal: Goal,
    finished: bool,
    data_folder: Option<String>,
}

impl Stopped {
    /// Opens the folder of a run; `over` are settings that go over the run's, of which only some may:
    /// [`crate::train::settings::overlay::CHANGEABLE`].
    ///
    /// # Errors
    /// [`Error::Input`] if the folder has no checkpoint, a damaged one, or another run going on in it, and for settings
    /// that belong to the run or make it shorter than it is; [`Error::Failed`] if the folder cannot be written.
    pub fn open(run: &Path, which: Which, over: &Overlay) -> Result<Stopped> {
        let last = Checkpoints::of(run).path("last");
        // Locked first, so that no other process writes what is read here.
        let lock =
            || files::lock(run).map(Some).map_err(|e| with_way_on(e, run, last.exists().then_some((&last, None))));
        Self::read(run, which, over, lock)
    }

    /// `open` for a process that only follows the one that has the folder open: nothing is locked or written.
    ///
    /// # Errors
    /// [`Error::Input`] as for [`Stopped::open`].
    pub fn follow(run: &Path, which: Which, over: &Overlay) -> Result<Stopped> {
        Self::read(run, which, over, || Ok(None))
    }

    fn read(run: &Path, which: Which, over: &Overlay, lock: impl FnOnce() -> Result<Option<File>>) -> Result<Stopped> {
        over.check_run()?;
        let checkpoints = Checkpoints::of(run);
        checkpoints.find(which).map_err(|error| match RunFolder::is_unbegun(run) {
            true => {
                Error::input(format!("{error}; the same command with --run-dir in place of --resume begins it again"))
            }
            false => error,
        })?;
        let lock = lock()?;
        let checkpoint = checkpoints.read(which)?;
        let mut config = RunConfig::read(&run.join("config.toml"))?;
        let place = checkpoints.find(which)?.display().to_string();
        config.check_net(&checkpoint.model.name).map_err(|e| in_context(&place, e))?;
        if config.device.as_deref() == Some("auto") && ran_on_software(run) {
            config.device = Some("software".into());
        }
        let mut config = over.over_run(&config)?;
        config.train.check()?;
        config.settle_val();
        let state = &checkpoint.state;
        state.check(&config.train, &state.data)?;
        let goal = state.goal(&config.train);
        let mut reached = state.progress.clone();
        let finished = reached.finished(goal);
        if goal.last < reached.step {
            let (steps, epochs) = (reached.step, reached.epoch() - usize::from(finished));
            return Err(Error::input(format!(
                "{}: found a run of {steps} steps in epoch {epochs}, expected one shorter than the {} steps asked for",
                run.display(),
                goal.last
            )));
        }
        reached.reopen(goal);
        // Where the data was when the run began, wherever this is called; a given place overrides it.
        let data_folder = match over.has("data") {
            true => config.data_folder(),
            false => state.data_folder.clone(),
        };
        Ok(Stopped { run: run.into(), lock, which, checkpoint, config, reached, goal, finished, data_folder })
    }

    /// The settings of the run, with those that went over them.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Notes how the device was named; the folder will have it.
    pub fn name_device(&mut self, device: String) {
        self.config.device = Some(device);
    }

    /// The settings by which the run's data is opened: with the folder where the data was when the run began.
    pub fn data_config(&self) -> RunConfig {
        let mut config = self.config.clone();
        if let Some(folder) = self.data_folder.as_ref().filter(|_| config.data != BUILT_IN) {
            config.data.clone_from(folder);
        }
        config
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.checkpoint.model
    }

    /// How far the run has come.
    pub fn reached(&self) -> &Progress {
        &self.reached
    }

    /// Where the run is to end.
    pub fn goal(&self) -> Goal {
        self.goal
    }

    /// Whether all steps are done: then call [`Stopped::finish`], else [`Stopped::go_on`].
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Why the run will not end with the same bytes on a device, a sentence each; none if it will.
    pub fn differences(&self, device: &Device) -> Vec<String> {
        let (state, own) = (&self.checkpoint.state, env!("CARGO_PKG_VERSION"));
        let all = [("device", device.identity(), &state.device), ("version of wgrad", own.into(), &state.version)];
        let differing = all.into_iter().filter(|(_, found, expected)| found != *expected);
        let sentence = |(what, found, expected): (&str, String, &String)| {
            format!(
                "the checkpoint was written on another {what}, {expected}; on {found} the run continues, but does not \
                 end in the same bytes"
            )
        };
        differing.map(sentence).collect()
    }

    /// The run on a device, ready to be driven, and what of its folder cannot be brought back.
    ///
    /// # Errors
    /// [`Error::Input`] for other data than the run began with, [`Error::Failed`] if the device or the disk fails.
    pub fn go_on(self, data: Dataset, device: (Device, &Choice)) -> Result<(Session, Option<String>)> {
        self.go_on_after(data, device, |_, _| Ok(()))
    }

    /// `go_on` with what is to be done once the trainer is made, before anything is written.
    ///
    /// # Errors
    /// As [`Stopped::go_on`], and those of `ready`.
    pub fn go_on_after(
        mut self,
        data: Dataset,
        (device, choice): (Device, &Choice),
        ready: impl FnOnce(&mut Trainer, &Device) -> Result<()>,
    ) -> Result<(Session, Option<String>)> {
        let mut trainer = self.trainer(&data, &device)?;
        ready(&mut trainer, &device)?;
        let device_json = json_of(choice)?;
        let (folder, notice) = self.folder(Some(device_json.clone()))?;
        let Stopped { config, checkpoint: Checkpoint { model, .. }, .. } = self;
        Ok((Session { config, model, data, device, device_json, trainer, folder }, notice))
    }

    /// Writes whatever a finished run's folder lacks: the model, and what the test set says. `open` opens data and device,
    /// and is called only where that is needed. Also returns what of the folder cannot be brought back.
    ///
    /// # Errors
    /// Those of `open`, and of [`Stopped::go_on`].
    pub async fn finish(
        mut self,
        open: impl FnOnce(&Stopped) -> Result<(Dataset, Device)>,
    ) -> Result<(Tested, Option<String>)> {
        let (folder, notice) = self.folder(None)?;
        let best = folder.kept(self.config.train.keep, &self.checkpoint.state.progress)?;
        let weights = best.as_ref().unwrap_or(self.checkpoint.final_weights());
        let changed = !folder.has_model(weights, self.model())?;
        folder.model(weights, self.model()).map_err(|e| self.named(e))?;
        let missing = |wanted: bool, name: &str| wanted && !self.run.join(name).exists();
        let split = self.config.train.validation_split.is_some();
        let apart = History::read(&self.run)?.map_or(split, |history| history.samples.are_tested_apart());
        let lacks = missing(apart, TEST) || missing(self.model().is_segmentation()?, SHEET);
        if !(lacks || changed && self.run.join(TEST).exists()) {
            return Ok((Tested::default(), notice));
        }
        let (data, device) = open(&self)?;
        let mut trainer = self.trainer(&data, &device)?;
        best.iter().try_for_each(|best| trainer.leave(best))?;
        Ok((test(&mut trainer, &folder, self.model(), &data).await?, notice))
    }

    /// The trainer as it was at the checkpoint.
    pub(in crate::train) fn trainer(&self, data: &Dataset, device: &Device) -> Result<Trainer> {
        let Checkpoint { model, weights, .. } = &self.checkpoint;
        let mut trainer = Trainer::new(device, model, data, &self.config.train, Some(weights))?;
        trainer.restore(&self.checkpoint)?;
        Ok(trainer)
    }

    /// The folder, brought to what it was at the checkpoint, and what of it cannot be brought back.
    fn folder(&mut self, device_json: Option<String>) -> Result<(RunFolder, Option<String>)> {
        let lock = self.lock.take().ok_or_else(|| Error::failed("the run's folder is open already"))?;
        let Stopped { which, checkpoint, config, reached, data_folder, .. } = &*self;
        let data_folder = data_folder.clone();
        let from = Resume { which: *which, checkpoint, progress: reached, config, data_folder, device_json };
        RunFolder::resume(&self.run, lock, &from).map_err(|e| self.named(e))
    }

    /// An error with the checkpoint and the command that resumes from it.
    fn named(&self, error: Error) -> Error {
        let (last, step) = (Checkpoints::of(&self.run).path("last"), self.checkpoint.state.progress.step);
        with_way_on(error, &self.run, Some((&last, Some(step))))
    }
}

/// Whether a run's `device.json` names a software adapter: `auto` took one before it took the native CPU, and such a
/// run resumes on the same device.
fn ran_on_software(run: &Path) -> bool {
    let text = crate::files::read_text(&run.join("device.json"), LARGEST_JSON_BYTES).unwrap_or_default();
    serde_json::from_str(&text).is_ok_and(|found: serde_json::Value| found["device"]["type"] == "software")
}
