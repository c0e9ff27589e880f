//! `wgrad train` with several learning rates or seeds: runs one after the other into numbered folders, compared at the end.

mod table;

use crate::cli::args::train::TrainArgs;
use crate::cli::commands::report;
use crate::cli::commands::resume::resume;
use crate::cli::commands::train::{begin, drive};
use crate::cli::terminal::interrupt::{self, Interrupt};
use crate::cli::terminal::progress::Progress;
use crate::counted::counted;
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::printable::shown;
use crate::train::run::files::LARGEST_JSON_BYTES;
use crate::train::run::history::{End, History, quoted};
use crate::train::run::{RunFolder, checkpoints::Checkpoints};
use crate::train::settings::overlay::Overlay;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use table::Settings;

/// The description of a sweep in its folder: which run has which rate and seed.
const PLAN: &str = "sweep.json";

/// Runs that differ in learning rate and seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sweep {
    /// The runs, in their order; the first is in folder `1`.
    runs: Vec<Point>,
}

/// The settings of one run of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    /// The learning rate; none if the command names not more than one.
    pub(super) lr: Option<f64>,
    /// The seed.
    pub(super) seed: u64,
}

impl Sweep {
    /// The sweep that the command asks for, if it does.
    ///
    /// # Errors
    /// [`Error::Input`] for what goes with single runs alone.
    pub(super) fn of(args: &TrainArgs) -> Result<Option<Sweep>> {
        let rates = &args.flags.1;
        if rates.is_empty() && args.seeds.is_none() {
            return Ok(None);
        }
        if args.resume.is_some() {
            return Err(Error::input("--lr: found several rates with --resume, which resumes a single run"));
        }
        #[cfg(feature = "watch")]
        if args.watch.is_asked() {
            return Err(Error::input("--watch: found several runs, expected one to watch"));
        }
        let first = args.resolve()?.train.seed;
        let rates = if rates.is_empty() { vec![None] } else { rates.iter().copied().map(Some).collect() };
        let seeds = first..first.saturating_add(args.seeds.unwrap_or(1));
        let of_rate = |lr: Option<f64>| seeds.clone().map(move |seed| Point { lr, seed });
        Ok(Some(Sweep { runs: rates.into_iter().flat_map(of_rate).collect() }))
    }

    /// Trains the runs that are not finished yet, one after the other, and compares them all.
    ///
    /// # Errors
    /// [`Error::Input`] of the first run's settings or data, and for a folder of another sweep; [`Error::Failed`] at the end
    /// where runs failed.
    pub(super) fn run(&self, args: &TrainArgs, interrupt: &Interrupt, progress: &mut Progress) -> Result<ExitCode> {
        let folder = self.folder(args)?;
        let of = self.runs.len();
        progress.say(&format!("sweep of {} in {}", counted(of, "run"), folder.display()));
        progress.json(&json!({ "event": "sweep", "folder": shown(&folder), "runs": self.runs }))?;
        let mut failed = Vec::new();
        for (number, point) in (1..).zip(&self.runs) {
            let run = folder.join(number.to_string());
            let name = point.name();
            if is_finished(&run)? {
                progress.say(&format!("run {number} of {of}, {name}: finished before"));
                continue;
            }
            progress.say(&format!("run {number} of {of}: {name}"));
            progress.json(
                &json!({ "event": "sweep_run", "run": shown(&run), "number": number, "lr": point.lr, "seed": point.seed }),
            )?;
            match point.train(&run, args, interrupt, progress) {
                Ok(true) => {}
                Ok(false) => return self.stopped(&folder, number, args, progress),
                // What is wrong with the first is wrong with all.
                Err(error @ Error::Input(_)) if number == 1 => return Err(error),
                Err(error) => {
                    progress.say(&format!("run {number} of {of}, {name}: {error}"));
                    failed.push(number);
                }
            }
            if interrupt.asked() && number < of {
                return self.stopped(&folder, number, args, progress);
            }
        }
        self.close(&folder, progress)?;
        match failed.len() {
            0 => Ok(ExitCode::SUCCESS),
            some => Err(Error::failed(format!(
                "{some} of {of} runs failed; the table and {} have the others",
                report::COMPARISON
            ))),
        }
    }

    /// The sweep's folder, new or of the same sweep, with its plan.
    fn folder(&self, args: &TrainArgs) -> Result<PathBuf> {
        let folder = match &args.run_dir {
            Some(folder) => folder.clone(),
            None => RunFolder::claim("sweep")?,
        };
        let path = folder.join(PLAN);
        if path.is_file() {
            let fault = |e: &dyn std::fmt::Display| Error::input(format!("{}: {e}", path.display()));
            let text = crate::files::read_text(&path, LARGEST_JSON_BYTES).map_err(|e| fault(&e))?;
            let found: Sweep = serde_json::from_str(&text).map_err(|e| fault(&e))?;
            return match found == *self {
                true => Ok(folder),
                false => {
                    Err(fault(&"found a sweep of other learning rates or seeds, expected the same ones to continue it"))
                }
            };
        }
        RunFolder::check(&folder)?;
        std::fs::create_dir_all(&folder).map_err(|e| Error::input(format!("{}: {e}", folder.display())))?;
        let plan = serde_json::to_string(self).map_err(|e| Error::failed(format!("{}: {e}", path.display())))?;
        write_whole(&path, (plan + "\n").as_bytes())?;
        Ok(folder)
    }

    /// Ends a sweep that was interrupted with what is done, and says how to go on.
    fn stopped(&self, folder: &Path, number: usize, args: &TrainArgs, progress: &mut Progress) -> Result<ExitCode> {
        self.close(folder, progress)?;
        let mut words: Vec<String> = std::env::args_os().skip(1).map(|word| quoted(&word)).collect();
        if args.run_dir.is_none() {
            words.extend(["--run-dir".into(), quoted(folder)]);
        }
        let command = format!("wgrad {}", words.join(" "));
        crate::cli::say(&format!("stopped in run {number} of {}; go on with: {command}", self.runs.len()));
        progress.json(&json!({ "event": "sweep_stopped", "run": number, "resume": command }))?;
        Ok(ExitCode::from(interrupt::STATUS))
    }

    /// The closing table, and one page that compares the runs.
    fn close(&self, folder: &Path, progress: &mut Progress) -> Result<()> {
        let mut done = Vec::new();
        for (number, point) in (1..).zip(&self.runs) {
            let run = folder.join(number.to_string());
            if is_finished(&run)? {
                done.push((*point, run));
            }
        }
        if done.is_empty() {
            return Ok(());
        }
        let page = folder.join(report::COMPARISON);
        let named: Vec<(String, &Path)> = done.iter().map(|(point, run)| (point.name(), run.as_path())).collect();
        let records = report::compare(&named, &page)?;
        let settings = Settings::of(&done, &records);
        progress.say(&format!("saved {}", page.display()));
        progress.print(&table::text(&settings))?;
        progress.json(&json!({ "event": "sweep_end", "comparison": page, "finished": done.len(), "of": self.runs.len(), "settings": settings }))
    }
}

impl Point {
    /// Its name.
    fn name(&self) -> String {
        let lr = self.lr.map_or_else(String::new, |lr| format!("lr {lr}, "));
        format!("{lr}seed {}", self.seed)
    }

    /// Trains or resumes one run; returns whether it is finished.
    fn train(&self, run: &Path, args: &TrainArgs, interrupt: &Interrupt, progress: &mut Progress) -> Result<bool> {
        let mut args = args.clone();
        let begun = Checkpoints::of(run).path("last").exists();
        let session = if begun {
            // It has its settings.
            args.flags.0 = Overlay::new();
            resume(run, &args, progress, None)?
        } else {
            args.flags.0 = args.flags.0.set("train.seed", i64::try_from(self.seed).unwrap_or(i64::MAX));
            if let Some(lr) = self.lr {
                args.flags.0 = args.flags.0.set("train.lr", lr);
            }
            args.run_dir = Some(run.to_path_buf());
            Some(begin(&args, progress, None)?)
        };
        match session {
            Some(session) => drive(session, interrupt, progress, None, args.no_report, None),
            None => Ok(true),
        }
    }
}

/// Whether all steps of a run are done.
fn is_finished(run: &Path) -> Result<bool> {
    let history = History::read(run)?.unwrap_or_default();
    Ok(history.sittings.last().is_some_and(|sitting| sitting.end == Some(End::Finished)))
}
