//! `wgrad train`: from flags and files to a run folder.

use super::interrupt::{self, Interrupt};
use super::progress::{Format, Progress};
use super::resume::resume;
use super::schedule::ScheduleArgs;
#[cfg(feature = "watch")]
use super::watch::Watching;
use crate::data::Dataset;
use crate::data::folder::ImageOptions;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::gpu::listing::device_json;
use crate::model::Model;
use crate::train::every::Every;
use crate::train::finetune::First;
use crate::train::options::OptimizerName;
use crate::train::run::{RunConfig, RunFolder};
use crate::train::smaller::smaller_batch;
use crate::train::trainer::{Event, Trainer};
use clap::Args;
use serde_json::json;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Train a model
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wgrad train\n  wgrad train --model mnist-deep --epochs 3 --device cpu\n  \
wgrad train --resume runs/mnist-cnn/1\n  \
wgrad train --from runs/mnist-cnn/1/model.safetensors --freeze 0 --data my-digits")]
pub struct TrainArgs {
    /// A preset (mnist-cnn, mnist-deep) or a model file [default: mnist-cnn]
    #[arg(long, value_name = "NAME|FILE.toml")]
    model: Option<String>,
    /// mnist, a CSV file, or a folder, recognised in this order: CIFAR-10 binary (data_batch_1.bin …), NumPy
    /// (x_train.npy …), four IDX files, images with a folder a class, CSV (train.csv, test.csv) [default: mnist]
    #[arg(long, value_name = "mnist|DIR|FILE.csv")]
    pub(super) data: Option<String>,
    /// Height and width that a folder's images are brought to, or that CSV's have, such as 64 or 48x64
    #[arg(long, value_name = "N|HxW", value_parser = image_size)]
    image_size: Option<[usize; 2]>,
    /// Channels of a folder's images: 1 grey, 3 RGB [default: 1 where all are grey]
    #[arg(long, value_name = "1|3", value_parser = image_channels)]
    image_channels: Option<usize>,
    /// Stop where a folder of images has a file that cannot be used
    #[arg(long)]
    strict_data: bool,
    /// Passes over the training data [default: 10]
    #[arg(long, value_name = "N")]
    pub(super) epochs: Option<usize>,
    /// Samples of a step [default: 128]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Learning rate [default: 0.001; sgd: 0.01]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lr: Option<f64>,
    #[command(flatten)]
    schedule: ScheduleArgs,
    /// Optimizer [default: adam]
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerName>,
    /// Momentum of sgd [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    momentum: Option<f64>,
    /// Weight decay [default: 0; adamw: 0.01]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    weight_decay: Option<f64>,
    /// Seed of the first weights and of every epoch's order [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// auto, gpu, software, cpu, an index of `wgrad devices`, or part of a name [default: auto]
    #[arg(long, value_name = "D")]
    pub(super) device: Option<String>,
    /// Refuse anything less than a GPU
    #[arg(long)]
    pub(super) require_gpu: bool,
    /// Threads of the native CPU; 0 takes all cores [default: 0]
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<usize>,
    /// The run's folder [default: the next runs/<model>/<n>]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// End the run after so many steps
    #[arg(long, value_name = "N")]
    pub(super) max_steps: Option<u64>,
    /// End the run after N epochs in a row without a smaller validation loss
    #[arg(long, value_name = "N")]
    patience: Option<usize>,
    /// Take batches in file order
    #[arg(long)]
    no_shuffle: bool,
    /// First weights, from a safetensors file (PyTorch's included)
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Go on from a trained model; the last dense layer is made anew where the data has other classes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "init"])]
    from: Option<PathBuf>,
    /// Layers that stay as they are, by their names in the weight file, such as 0,2
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    freeze: Option<Vec<String>>,
    /// Take only the first N training samples
    #[arg(long, value_name = "N")]
    train_limit: Option<usize>,
    /// Take only the first N test samples
    #[arg(long, value_name = "N")]
    test_limit: Option<usize>,
    /// Write every step's loss to steps.jsonl
    #[arg(long)]
    log_steps: bool,
    /// Begin with the settings of a file, such as a run folder's config.toml; flags go before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Go on with the run in this folder, as if it had never stopped; --epochs N prolongs it
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "model", "batch_size", "lr", "optimizer", "momentum", "weight_decay", "seed", "run_dir", "no_shuffle", "init",
        "from", "freeze", "image_size", "image_channels", "strict_data", "train_limit", "test_limit", "log_steps", "config",
        "patience",
    ])]
    resume: Option<PathBuf>,
    /// With --resume: from the checkpoint before the last
    #[arg(long)]
    pub(super) from_previous: bool,
    /// Write checkpoints every N steps or 30s, 5m, 2h, besides at the end of every epoch
    #[arg(long, value_name = "N|TIME", allow_negative_numbers = true)]
    pub(super) checkpoint_every: Option<Every>,
    /// text, or json: one JSON object a line on stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Print neither epochs nor progress
    #[arg(long)]
    quiet: bool,
    /// Leave no report.html
    #[arg(long)]
    pub(super) no_report: bool,
    #[cfg(feature = "watch")]
    #[command(flatten)]
    watch: super::watch::WatchArgs,
}

impl TrainArgs {
    /// The file's settings, or the defaults, with the flags over them.
    fn resolve(&self) -> Result<RunConfig> {
        let mut config = match &self.config {
            Some(path) => RunConfig::read(path)?,
            None => RunConfig::default(),
        };
        fn set<T: Clone>(place: &mut T, flag: &Option<T>) {
            if let Some(value) = flag {
                *place = value.clone();
            }
        }
        set(&mut config.model, &self.model);
        set(&mut config.data, &self.data);
        set(&mut config.device, &self.device);
        set(&mut config.threads, &self.threads);
        config.require_gpu |= self.require_gpu;
        config.image_size = self.image_size.or(config.image_size);
        config.image_channels = self.image_channels.or(config.image_channels);
        config.strict_data |= self.strict_data;
        config.log_steps |= self.log_steps;
        config.train_limit = self.train_limit.or(config.train_limit);
        config.test_limit = self.test_limit.or(config.test_limit);
        config.init = self.init.clone().or(config.init);
        config.checkpoint_every = self.checkpoint_every.or(config.checkpoint_every);
        config.from = self.from.clone().or(config.from);
        if self.model.is_some() && config.from.is_some() {
            return Err(Error::input("--model: the model comes from the file that `from` names"));
        }
        let train = &mut config.train;
        if self.optimizer.is_some_and(|optimizer| optimizer != train.optimizer) {
            // What the file resolved belongs to its own optimizer.
            (train.lr, train.weight_decay, train.momentum) = (None, None, 0.0);
        }
        set(&mut train.optimizer, &self.optimizer);
        set(&mut train.epochs, &self.epochs);
        set(&mut train.batch_size, &self.batch_size);
        set(&mut train.momentum, &self.momentum);
        set(&mut train.seed, &self.seed);
        set(&mut train.freeze, &self.freeze);
        self.schedule.set(train);
        train.lr = self.lr.or(train.lr);
        train.weight_decay = self.weight_decay.or(train.weight_decay);
        train.max_steps = self.max_steps.or(train.max_steps);
        train.patience = self.patience.or(train.patience);
        train.shuffle &= !self.no_shuffle;
        Ok(config)
    }
}

/// A run that is about to go on.
pub(super) struct Session {
    pub(super) config: RunConfig,
    pub(super) model: Model,
    pub(super) data: Dataset,
    pub(super) device: Device,
    #[cfg_attr(not(feature = "watch"), expect(dead_code))]
    pub(super) device_json: String,
    pub(super) trainer: Trainer,
    pub(super) folder: RunFolder,
}

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
    let data = open_data(&config, progress)?;
    let First { model, weights, notice } = First::of(&config, &data)?;
    if config.from.is_some() {
        config.model.clone_from(&model.name);
    }
    notice.iter().for_each(|notice| super::say(&format!("note: {notice}")));
    let (device, choice) = super::open(&config.device, config.require_gpu, config.threads)?;
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
    super::note(&device);
    let device_json = device_json(&choice).map_err(|e| Error::failed(format!("device.json: {e}")))?;
    let path = match &args.run_dir {
        Some(path) => path.clone(),
        None => RunFolder::claim(&model.name)?,
    };
    let folder = RunFolder::create(&path, &config, &device_json)?;
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
            if watching.is_some() || !no_report {
                // It times the kernels with real steps: whatever is to be kept is saved by now.
                let weights = pollster::block_on(trainer.weights())?;
                let findings = super::report::findings(&mut trainer, &device, &config, &model, &weights, &data)?;
                if !no_report {
                    progress.say(&format!("saved {}", super::report::write(&run, findings.clone())?.display()));
                }
                progress.json(&json!({ "event": "end", "step": step, "model": file }))?;
                watching.into_iter().for_each(|watching| watching.end(findings.clone(), interrupt));
                return Ok(ExitCode::SUCCESS);
            }
            progress.json(&json!({ "event": "end", "step": step, "model": file }))?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let (step, command) = (reached.step, resume_command(&run));
            super::say(&format!("stopped at step {step}; go on with: {command}"));
            progress.json(&json!({ "event": "stopped", "step": step, "resume": command }))?;
            Ok(ExitCode::from(interrupt::STATUS))
        }
    }
}

/// The step behind which the tests take the device away.
fn lose_at() -> Option<u64> {
    std::env::var("WGRAD_TEST_LOSE_DEVICE_AT").ok()?.parse().ok()
}

/// The error of a run that has begun, with the last good checkpoint and the command that goes on from it.
pub(super) fn with_way_on(error: Error, run: &Path, good: Option<(&Path, Option<u64>)>) -> Error {
    let (Error::Failed(why), Some((path, step))) = (&error, good) else { return error };
    let step = step.map_or(String::new(), |step| format!(" (step {step})"));
    let (path, command) = (path.display(), resume_command(run));
    Error::failed(format!("{why}; the last good checkpoint is {path}{step}, and {command} goes on from it"))
}

/// What to type to go on with a run.
fn resume_command(run: &Path) -> String {
    let run = run.display().to_string();
    let plain = run.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-\\:".contains(&byte));
    let quoted = if plain { run } else { format!("'{}'", run.replace('\'', r"'\''")) };
    format!("wgrad train --resume {quoted}")
}

/// Opens the data and cuts it to the limits.
pub(super) fn open_data(config: &RunConfig, progress: &mut Progress) -> Result<Dataset> {
    progress.doing(&format!("opening data set {}", config.data));
    let data = load_data(config, Some(&progress.counter()));
    progress.clear();
    data
}

/// `open_data` without a word but to `progress`.
pub(super) fn load_data(config: &RunConfig, progress: Option<&(dyn Fn(usize, usize) + Sync)>) -> Result<Dataset> {
    let (size, channels, strict) = (config.image_size, config.image_channels, config.strict_data);
    let options = ImageOptions { size, channels, strict, progress };
    let mut data = Dataset::open_with(&config.data, &options)?;
    if let Some(notice) = &data.notice {
        eprintln!("note: {notice}");
    }
    if let Some(limit) = config.train_limit {
        data.train.truncate(limit)?;
    }
    if let Some(limit) = config.test_limit {
        data.test.truncate(limit)?;
    }
    Ok(data)
}

/// `1` or `3`.
fn image_channels(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|channels| [1, 3].contains(channels)).ok_or_else(|| "expected 1 (grey) or 3 (RGB)".into())
}

/// `64`, for 64 × 64, or `48x64`, rows first.
pub(super) fn image_size(text: &str) -> Result<[usize; 2], String> {
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    match (height.parse(), width.parse()) {
        (Ok(height), Ok(width)) if height > 0 && width > 0 => Ok([height, width]),
        _ => Err("expected a number of pixels, such as 64, or height and width, such as 48x64".into()),
    }
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
