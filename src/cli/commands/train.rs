//! `wgrad train`: from flags and files to a run folder.

use crate::cli::args::train::TrainArgs;
use crate::cli::commands::processes::Processes;
use crate::cli::commands::report;
use crate::cli::commands::resume::resume;
use crate::cli::commands::session::{open_data, say_tested};
use crate::cli::commands::sweep::Sweep;
#[cfg(feature = "watch")]
use crate::cli::commands::watch::Watching;
use crate::cli::terminal::closing::Closing;
use crate::cli::terminal::interrupt;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::terminal::progress::Progress;
use crate::counted::counted;
use crate::data::Dataset;
use crate::device::Device;
use crate::device::choice::{Choice, DeviceRequest};
use crate::error::{Error, Result};
use crate::printable::shown;
use crate::train::defaults::{STEPS, batch_for, model_for};
use crate::train::epochs::trainer::Event;
use crate::train::finetune::First;
use crate::train::run::{RunConfig, RunFolder};
use crate::train::session::{Ended, Session, resume_command};
use crate::train::settings::recipe::Recipe;
use serde_json::json;
use std::process::ExitCode;
use std::time::Instant;

/// Trains, and leaves the run folder.
pub fn run(args: TrainArgs) -> Result<ExitCode> {
    // clap does not ask for --resume where something else rules it out.
    if args.from_previous && args.resume.is_none() {
        return Err(Error::input("--from-previous: expected --resume RUN with it"));
    }
    let sweep = Sweep::of(&args)?;
    let Some(processes) = Processes::find("train", args.processes_required)? else {
        let interrupt = Interrupt::watch()?;
        return match sweep {
            Some(sweep) => sweep.run(&args, &interrupt, &mut Progress::new(args.format, args.quiet)),
            None => lead(&args, Some(interrupt), None),
        };
    };
    let done = match (sweep, processes.is_first()) {
        (Some(_), _) => processes.all(Err(Error::input(format!(
            "--seeds, and --lr with several rates: found {} processes, expected one for a sweep; start each run by itself",
            processes.size()
        )))),
        (None, true) => lead(&args, None, Some(&processes)),
        (None, false) => processes.follow(&args),
    };
    processes.end(done)
}

/// The run of this process, by itself or as the first of several. Where it waits for others, signals end it until it trains.
fn lead(args: &TrainArgs, interrupt: Option<Interrupt>, processes: Option<&Processes>) -> Result<ExitCode> {
    let mut progress = Progress::new(args.format, args.quiet);
    #[cfg(feature = "watch")]
    let page = args.watch.bind()?;
    let session = match &args.resume {
        None => Some(begin(args, &mut progress, processes)?),
        Some(run) => resume(run, args, &mut progress, processes)?,
    };
    #[cfg_attr(not(feature = "watch"), expect(unused_mut))]
    let Some(mut session) = session else { return Ok(ExitCode::SUCCESS) };
    let interrupt = interrupt.map_or_else(Interrupt::watch, Ok)?;
    #[cfg(feature = "watch")]
    let watching = match page {
        Some(page) => Some(Watching::begin(page, &mut session)?),
        None => None,
    };
    #[cfg(not(feature = "watch"))]
    let watching: Option<Watching> = None;
    let finished = drive(session, &interrupt, &mut progress, watching, args.no_report, processes)?;
    Ok(if finished { ExitCode::SUCCESS } else { ExitCode::from(interrupt::STATUS) })
}

/// With fewer training samples than this, a note says that they are few.
const FEW: usize = 20;

/// What a run needs to begin.
pub(super) struct Prepared {
    pub(super) config: RunConfig,
    pub(super) data: Dataset,
    pub(super) first: First,
    pub(super) device: Device,
    pub(super) choice: Choice,
}

/// A run from its start.
pub(super) fn begin(args: &TrainArgs, progress: &mut Progress, processes: Option<&Processes>) -> Result<Session> {
    let prepared = all(processes, prepare(args, progress, processes))?;
    let Prepared { config, data, first, device, choice } = prepared;
    progress.building(&device);
    let (every, folder) = (config.checkpoint_every, args.run_dir.as_deref());
    let device = (device, &choice);
    let session = match processes {
        None => Session::begin(config, data, first, device, folder),
        Some(processes) => {
            processes.lead(&choice, every, |ready| Session::begin_after(config, data, first, device, folder, ready))
        }
    }?;
    crate::cli::note(&session.device);
    if let Some(balance) = session.trainer.balance() {
        let what = if session.model.is_segmentation()? { "pixels" } else { "samples" };
        crate::cli::say(&format!("note: {}", balance.words(what, |class| session.model.class_name(class))));
    }
    Ok(session)
}

/// What was done here, if all processes could do it.
pub(super) fn all<T>(processes: Option<&Processes>, done: Result<T>) -> Result<T> {
    match processes {
        None => done,
        Some(processes) => processes.all(done),
    }
}

/// The settings, data, weights and device of a run.
pub(super) fn prepare(args: &TrainArgs, progress: &mut Progress, processes: Option<&Processes>) -> Result<Prepared> {
    let mut config = args.resolve()?;
    config.train.check()?;
    // Each process computes as many batches of an update as one process would.
    if let Some(size) = processes.map(Processes::size) {
        let accumulate = u32::try_from(size).ok().and_then(|size| config.train.accumulate.checked_mul(size));
        config.train.accumulate = accumulate.ok_or_else(|| {
            Error::input(format!(
                "accumulate {}: expected fewer batches in each of {size} processes",
                config.train.accumulate
            ))
        })?;
    }
    if let Some(path) = &args.run_dir {
        RunFolder::check(path)?;
    }
    let asked = crate::cli::request(args.device(&config), config.device.as_deref())?;
    // Wherever it was named, the run's folder keeps it: a resumed run uses it too.
    config.device = Some(asked.text());
    let data = open_data(&config, progress)?;
    // A file or a recipe names its model and its batch.
    let by_data = args.config.is_none() && args.recipe.unwrap_or_default() == Recipe::Plain;
    if by_data && config.from.is_none() && config.target.is_empty() && !args.flags.0.has("model") {
        let (name, why) = model_for(&data)?;
        why.iter().for_each(|why| crate::cli::say(&format!("note: model {name}, {why}; --model chooses another")));
        config.model = name.into();
    }
    if !args.flags.0.has("train.batch_size") {
        fit_batch(&mut config, &data, by_data)?;
    }
    let count = data.train.count;
    if count < FEW {
        let images = counted(count, "sample");
        crate::cli::say(&format!(
            "note: {images} to train on and {} to test on are few, and the metrics are not reliable: add more data, or fine-tune a \
             trained net (--from)",
            data.test.count
        ));
    }
    let first = First::of(&config, &data)?;
    first.notice.iter().for_each(|notice| crate::cli::say(&format!("note: {notice}")));
    let request = DeviceRequest { require_gpu: config.require_gpu, ..asked };
    let (device, choice) = open(request, config.threads, processes)?;
    Ok(Prepared { config, data, first, device, choice })
}

/// Opens the device of this process, by itself or as one of several.
pub(super) fn open(request: DeviceRequest, threads: usize, processes: Option<&Processes>) -> Result<(Device, Choice)> {
    match processes {
        None => crate::cli::open(request, threads),
        Some(processes) => crate::cli::open(processes.request(request), processes.threads(threads)),
    }
}

/// Reduces a default batch size to the number of samples, or, if it is not given at all, so that an epoch has several
/// steps; and prints a note.
fn fit_batch(config: &mut RunConfig, data: &Dataset, by_data: bool) -> Result<()> {
    let (batch, count) = (config.train.batch_size, data.train.count);
    // More samples than these have no smaller batch.
    let few = if by_data { batch * STEPS } else { batch };
    let samples = match config.train.validation_split {
        // Shares are rounded for each class.
        Some(share) if few as f64 > count as f64 * (1.0 - share) - data.classes as f64 => {
            data.with_validation(share, config.train.seed)?.0.train.count
        }
        _ => count,
    };
    let fitting = batch_for(samples);
    if by_data && fitting < batch {
        crate::cli::say(&format!(
            "note: batch size {fitting}, since there are only {samples} training samples; --batch-size overrides it"
        ));
        config.train.batch_size = fitting;
    } else if batch > samples {
        crate::cli::say(&format!(
            "note: batch size {samples}, not {batch}, since there are only {samples} training samples"
        ));
        config.train.batch_size = samples;
    }
    Ok(())
}

/// Trains to the end of the run, or until it is stopped; whether it is finished.
pub(super) fn drive(
    mut session: Session,
    interrupt: &Interrupt,
    progress: &mut Progress,
    watching: Option<Watching>,
    no_report: bool,
    processes: Option<&Processes>,
) -> Result<bool> {
    let begun = Instant::now();
    let Session { config, model, trainer, folder, .. } = &session;
    let mut first_loss = trainer.progress().metrics.first().map(|metrics| metrics.loss);
    let (run, goal) = (folder.path().to_path_buf(), trainer.goal());
    progress.begin(config.train.epochs, goal.per_epoch, goal.last, session.model.things());
    progress.json(&json!({
        "event": "start", "run": shown(&run), "model": model.name, "epochs": config.train.epochs,
        "step": trainer.progress().step, "steps": goal.last,
    }))?;
    let ended = pollster::block_on(session.drive(
        || interrupt.asked(),
        |event| {
            if let Event::Steps { first: 1, records: [record, ..], .. } = event {
                first_loss = Some(record.loss.into());
            }
            watching.iter().for_each(|watching| watching.event(event));
            progress.show(event)
        },
    ));
    progress.clear();
    processes.iter().for_each(|processes| processes.heard(&session.trainer));
    let (file, tested) = match ended? {
        Ended::Finished { model, tested } => (model, tested),
        Ended::Stopped { step } => {
            let launcher = processes.map_or(String::new(), |processes| format!("mpirun -n {} ", processes.size()));
            let command = launcher + &resume_command(&run);
            crate::cli::say(&format!("stopped at step {step}; go on with: {command}"));
            progress.json(&json!({ "event": "stopped", "step": step, "resume": command }))?;
            return Ok(false);
        }
    };
    let (trained, epochs) = (&session.trainer, session.config.train.epochs);
    let seconds = begun.elapsed().as_secs_f64();
    let keep = session.config.train.keep;
    let closing = Closing { progress: trained.progress(), goal, epochs, first_loss, keep, seconds };
    let closing_line = closing.text();
    if let Some(reading) = session.trainer.reading_seconds() {
        progress.say(&format!("reading and decoding the training data took {reading:.1} s of {seconds:.1} s"));
    }
    if let Some(processes) = processes {
        let waited = session.trainer.exchange_seconds();
        progress.say(&format!(
            "{} processes: the first of them exchanged, or waited for others, for {waited:.1} s of {seconds:.1} s",
            processes.size()
        ));
    }
    progress.say(&format!("saved {}", file.display()));
    say_tested(&tested, progress);
    let mut end = json!({ "event": "end", "step": session.trainer.progress().step, "model": shown(&file) });
    if let Some(totals) = &tested.totals {
        (end["test_loss"], end["test_accuracy"]) = (json!(totals.loss()), json!(totals.accuracy()));
    }
    if let Some(top5) = tested.top5_accuracy {
        end[if tested.totals.is_some() { "test_top5_accuracy" } else { "val_top5_accuracy" }] = json!(top5);
    }
    if let Some(mean_iou) = tested.mean_iou {
        end["test_mean_iou"] = json!(mean_iou);
    }
    closing.add_to(&mut end);
    if watching.is_none() && no_report {
        progress.say(&closing_line);
        progress.json(&end)?;
        return Ok(true);
    }
    // It times the kernels with real steps: whatever is to be kept is saved by now.
    let Session { config, model, data, device, trainer, .. } = &mut session;
    let weights = pollster::block_on(trainer.weights())?;
    let findings = report::findings(trainer, device, config, model, &weights, data)?;
    if !no_report {
        progress.say(&format!("saved {}", report::write(&run, findings.clone())?.display()));
    }
    progress.say(&closing_line);
    progress.json(&end)?;
    watching.into_iter().for_each(|watching| watching.end(findings.clone(), interrupt));
    Ok(true)
}

/// Nobody watches where the feature `watch` is off.
#[cfg(not(feature = "watch"))]
pub(super) enum Watching {}

#[cfg(not(feature = "watch"))]
impl Watching {
    fn event(&self, _: &Event) {
        match *self {}
    }

    fn end<Findings>(self, _: Findings, _: &Interrupt) {
        match self {}
    }
}
