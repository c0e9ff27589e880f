//! `wgrad train`: from flags and files to a run folder.

use crate::cli::args::train::TrainArgs;
use crate::cli::commands::resume::resume;
use crate::cli::commands::session::{Session, open_data, resume_command, test, with_way_on};
#[cfg(feature = "watch")]
use crate::cli::commands::watch::Watching;
use crate::cli::terminal::interrupt;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::terminal::progress::Progress;
use crate::device::Device;
use crate::device::choice::DeviceRequest;
use crate::device::choice::listing::device_json;
use crate::error::{Error, Result};
use crate::train::augmented;
use crate::train::epochs::trainer::{Event, Trainer};
use crate::train::finetune::First;
use crate::train::run::RunFolder;
use crate::train::smaller::smaller_batch;
use serde_json::json;
use std::ops::ControlFlow;
use std::process::ExitCode;

/// Trains, and leaves the run folder.
pub fn run(args: TrainArgs) -> Result<ExitCode> {
    // clap does not ask for --resume where something else rules it out.
    if args.from_previous && args.resume.is_none() {
        return Err(Error::input("--from-previous: --resume RUN is expected with it"));
    }
    let interrupt = Interrupt::watch()?;
    let mut progress = Progress::new(args.format, args.quiet);
    #[cfg(feature = "watch")]
    let page = args.watch.bind()?;
    let session = match &args.resume {
        None => Some(begin(&args, &mut progress)?),
        Some(run) => resume(run, &args, &mut progress)?,
    };
    #[cfg_attr(not(feature = "watch"), expect(unused_mut))]
    let Some(mut session) = session else { return Ok(ExitCode::SUCCESS) };
    #[cfg(feature = "watch")]
    let watching = match page {
        Some(page) => Some(Watching::begin(page, &mut session)?),
        None => None,
    };
    #[cfg(not(feature = "watch"))]
    let watching: Option<Watching> = None;
    drive(session, &interrupt, &mut progress, watching, args.no_report)
}

/// A run from its start.
fn begin(args: &TrainArgs, progress: &mut Progress) -> Result<Session> {
    let mut config = args.resolve()?;
    config.train.check()?;
    if let Some(path) = &args.run_dir {
        RunFolder::check(path)?;
    }
    let asked = crate::cli::request(args.device.as_deref(), config.device.as_deref())?;
    // Wherever it was named, the run's folder keeps it: a resumed run goes on there.
    config.device = Some(asked.text());
    let data = open_data(&config, progress)?;
    let First { model, weights, notice } = First::of(&config, &data)?;
    if config.from.is_some() {
        config.model.clone_from(&model.name);
    }
    notice.iter().for_each(|notice| crate::cli::say(&format!("note: {notice}")));
    let (device, choice) =
        crate::cli::open(DeviceRequest { require_gpu: config.require_gpu, ..asked }, config.threads)?;
    progress.building(&device);
    let trainer = Trainer::new(&device, &model, &data, &config.train, weights.as_ref()).map_err(|error| {
        let Error::Input(why) = &error else { return error };
        // Offered, not taken: another batch is another run.
        match smaller_batch(&device, &model, &data, &config.train)
            .filter(|_| config.train.batch_size <= data.train.count)
        {
            Some(batch) => Error::input(format!("{why}; --batch-size {batch} would fit")),
            None => error,
        }
    })?;
    // What the device decided belongs to the run: elsewhere it goes on in the same order.
    config.train.device_data_limit = trainer.options().device_data_limit;
    crate::cli::note(&device);
    let device_json = device_json(&choice).map_err(|e| Error::failed(format!("device.json: {e}")))?;
    let path = match &args.run_dir {
        Some(path) => path.clone(),
        None => RunFolder::claim(&model.name)?,
    };
    let folder = RunFolder::create(&path, &config, &device_json)?;
    if !config.train.augment.is_off() {
        folder.picture("augmented.png", &augmented::sheet(&data, &config.train.augment, config.train.seed)?)?;
    }
    Ok(Session { config, model, data, device, device_json, trainer, folder })
}

/// Trains to the end of the run, or until somebody stops it.
fn drive(
    session: Session,
    interrupt: &Interrupt,
    progress: &mut Progress,
    watching: Option<Watching>,
    no_report: bool,
) -> Result<ExitCode> {
    let Session { config, model, data, device, mut trainer, mut folder, .. } = session;
    let run = folder.path().to_path_buf();
    trainer.checkpoints(config.checkpoint_every);
    progress.begin(config.train.epochs, trainer.goal().per_epoch);
    progress.json(&json!({
        "event": "start", "run": run, "model": model.name, "epochs": config.train.epochs,
        "step": trainer.progress().step, "steps": trainer.goal().last,
    }))?;
    let lose_at = lose_at();
    let mut trouble = None;
    let fitted = pollster::block_on(trainer.fit(|event| {
        watching.iter().for_each(|watching| watching.event(&event));
        if trouble.is_none() {
            let done = match event {
                Event::Steps { first, records, .. } => folder.steps(first, records),
                Event::Epoch(metrics) => folder.epoch(metrics),
                Event::Checkpoint(checkpoint) => folder.checkpoint(checkpoint),
            };
            trouble = done.and_then(|()| progress.show(&event)).err();
        }
        if let (Some(at), Event::Steps { first, records, .. }, Device::Gpu(gpu)) = (lose_at, event, &device)
            && first + records.len() as u64 > at
        {
            gpu.device.destroy();
        }
        match trouble.is_some() || interrupt.asked() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }));
    progress.clear();
    let fitted = fitted.and_then(|_| trouble.map_or(Ok(()), Err));
    let reached = trainer.progress();
    let ended = fitted.and_then(|()| match reached.finished(trainer.goal()) {
        true => folder.model(&pollster::block_on(trainer.weights())?, &model).map(Some),
        false => Ok(None),
    });
    let good = folder.last_good();
    let good = good.as_ref().map(|(path, step)| (path.as_path(), Some(*step)));
    match ended.map_err(|e| with_way_on(e, &run, good))? {
        Some(file) => {
            let step = reached.step;
            progress.say(&format!("saved {}", file.display()));
            let mut end = json!({ "event": "end", "step": step, "model": file });
            if let Some(totals) = test(&mut trainer, &folder, &model, &data, progress)? {
                (end["test_loss"], end["test_accuracy"]) = (json!(totals.loss()), json!(totals.accuracy()));
            }
            if watching.is_some() || !no_report {
                // It times the kernels with real steps: whatever is to be kept is saved by now.
                let weights = pollster::block_on(trainer.weights())?;
                let findings =
                    crate::cli::commands::report::findings(&mut trainer, &device, &config, &model, &weights, &data)?;
                if !no_report {
                    progress.say(&format!(
                        "saved {}",
                        crate::cli::commands::report::write(&run, findings.clone())?.display()
                    ));
                }
                progress.json(&end)?;
                watching.into_iter().for_each(|watching| watching.end(findings.clone(), interrupt));
                return Ok(ExitCode::SUCCESS);
            }
            progress.json(&end)?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let (step, command) = (reached.step, resume_command(&run));
            crate::cli::say(&format!("stopped at step {step}; go on with: {command}"));
            progress.json(&json!({ "event": "stopped", "step": step, "resume": command }))?;
            Ok(ExitCode::from(interrupt::STATUS))
        }
    }
}

/// The step behind which the tests take the device away.
fn lose_at() -> Option<u64> {
    std::env::var("WGRAD_TEST_LOSE_DEVICE_AT").ok()?.parse().ok()
}

/// Nobody watches where the feature `watch` is off.
#[cfg(not(feature = "watch"))]
enum Watching {}

#[cfg(not(feature = "watch"))]
impl Watching {
    fn event(&self, _: &Event) {
        match *self {}
    }

    fn end<Findings>(self, _: Findings, _: &Interrupt) {
        match self {}
    }
}
