//! `wgrad train`: from flags and files to a run folder.

use super::print;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::gpu::listing::device_json;
use crate::model::Model;
use crate::model::weights::Weights;
use crate::train::options::OptimizerName;
use crate::train::run::{RunConfig, RunFolder};
use crate::train::trainer::{Event, Metrics, Trainer};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Train a model
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wgrad train\n  wgrad train --model mnist-deep --epochs 3 --device cpu")]
pub struct TrainArgs {
    /// A preset (mnist-cnn, mnist-deep) or a model file [default: mnist-cnn]
    #[arg(long, value_name = "NAME|FILE.toml")]
    model: Option<String>,
    /// mnist, or a folder with four IDX files [default: mnist]
    #[arg(long, value_name = "mnist|DIR")]
    data: Option<String>,
    /// Passes over the training data [default: 10]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Samples of a step [default: 128]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Learning rate [default: 0.001; sgd: 0.01]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lr: Option<f64>,
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
    device: Option<String>,
    /// Refuse anything less than a GPU
    #[arg(long)]
    require_gpu: bool,
    /// Threads of the native CPU; 0 takes all cores [default: 0]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The run's folder [default: the next runs/<model>/<n>]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// End the run after so many steps
    #[arg(long, value_name = "N")]
    max_steps: Option<u64>,
    /// Take batches in file order
    #[arg(long)]
    no_shuffle: bool,
    /// First weights, from a safetensors file (PyTorch's included)
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
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
    /// Print neither epochs nor progress
    #[arg(long)]
    quiet: bool,
    /// Leave no report.html
    #[arg(long)]
    no_report: bool,
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
        config.log_steps |= self.log_steps;
        config.train_limit = self.train_limit.or(config.train_limit);
        config.test_limit = self.test_limit.or(config.test_limit);
        config.init = self.init.clone().or(config.init);
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
        train.lr = self.lr.or(train.lr);
        train.weight_decay = self.weight_decay.or(train.weight_decay);
        train.max_steps = self.max_steps.or(train.max_steps);
        train.shuffle &= !self.no_shuffle;
        Ok(config)
    }
}

/// Trains, and leaves the run folder.
pub fn run(args: TrainArgs) -> Result<()> {
    let config = args.resolve()?;
    config.train.check()?;
    if let Some(path) = &args.run_dir {
        RunFolder::check(path)?;
    }
    #[cfg(feature = "watch")]
    let page = args.watch.bind()?;
    let data = open_data(&config)?;
    let shape = data.train.shape();
    let mut model = Model::named_or_file(&config.model, shape, data.classes)?;
    model.class_names = data.class_names.clone();
    let init = match &config.init {
        None => None,
        Some(path) => {
            let (_, weights) = Weights::load(path)?;
            weights.check_against(&model).map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
            Some(weights)
        }
    };
    let (device, choice) = super::open(&config.device, config.require_gpu, config.threads)?;
    let mut trainer = Trainer::new(&device, &model, &data, &config.train, init.as_ref())?;
    let path = args.run_dir.unwrap_or_else(|| RunFolder::next(&model.name));
    let device_json = device_json(&choice).map_err(|e| Error::failed(format!("device.json: {e}")))?;
    let mut folder = RunFolder::create(&path, &config, &device_json)?;
    #[cfg(feature = "watch")]
    let watching = match page {
        Some(page) => {
            let about = (folder.path(), &device_json[..]);
            Some(super::watch::Watching::begin(page, &mut trainer, &model, &data, &config, about)?)
        }
        None => None,
    };
    let mut progress = Progress::new(config.train.epochs, args.quiet);
    let mut trouble = None;
    let fitted = trainer.fit(|event| {
        #[cfg(feature = "watch")]
        watching.iter().for_each(|watching| watching.event(&event));
        let done = match event {
            Event::Steps { first, records, .. } => folder.steps(first, records),
            Event::Epoch(metrics) => folder.epoch(metrics),
        };
        match done.and_then(|()| progress.show(event)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                trouble = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    let fitted = pollster::block_on(fitted);
    progress.bar.finish_and_clear();
    fitted?;
    if let Some(error) = trouble {
        return Err(error);
    }
    let weights = pollster::block_on(trainer.weights())?;
    let mut saved = vec![folder.model(&weights, &model)?];
    #[cfg(feature = "watch")]
    let wanted = watching.is_some() || !args.no_report;
    #[cfg(not(feature = "watch"))]
    let wanted = !args.no_report;
    let findings = match wanted {
        true => Some(super::report::findings(&mut trainer, &device, &config, &model, &weights, &data)?),
        false => None,
    };
    if let Some(findings) = findings.clone().filter(|_| !args.no_report) {
        saved.push(super::report::write(folder.path(), findings)?);
    }
    if !args.quiet {
        saved.iter().for_each(|file| eprintln!("saved {}", file.display()));
    }
    #[cfg(feature = "watch")]
    if let Some(watching) = watching {
        watching.end(findings);
    }
    Ok(())
}

/// Opens the data and cuts it to the limits.
pub(super) fn open_data(config: &RunConfig) -> Result<Dataset> {
    let mut data = Dataset::open(&config.data)?;
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

/// What a person sees: on a terminal a line that moves, everywhere one line an epoch.
struct Progress {
    epochs: usize,
    quiet: bool,
    bar: ProgressBar,
}

impl Progress {
    fn new(epochs: usize, quiet: bool) -> Self {
        // indicatif draws on stderr, and nothing where that is no terminal.
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::no_length() };
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:20} {pos}/{len} {eta} left {msg}") {
            bar.set_style(style);
        }
        Progress { epochs, quiet, bar }
    }

    fn show(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Steps { epoch, done, of, totals, .. } => {
                if self.bar.position() == 0 || self.bar.position() > done as u64 {
                    self.bar.reset();
                    self.bar.set_length(of as u64);
                    self.bar.set_prefix(format!("epoch {epoch}/{}", self.epochs));
                }
                self.bar.set_position(done as u64);
                let per_step = self.bar.elapsed().as_secs_f64() * 1e3 / done.max(1) as f64;
                let (loss, accuracy) = (totals.loss(), totals.accuracy());
                self.bar.set_message(format!("{per_step:.1} ms/step, loss {loss:.4}, accuracy {accuracy:.4}"));
                Ok(())
            }
            Event::Epoch(metrics) => {
                if self.quiet {
                    return Ok(());
                }
                self.bar.suspend(|| print(&line(metrics, self.epochs)))
            }
        }
    }
}

/// An epoch in one line, in Keras's order.
fn line(m: &Metrics, epochs: usize) -> String {
    format!(
        "epoch {}/{epochs} - {:.1}s - {:.0} images/s - loss: {:.4} - accuracy: {:.4} - val_loss: {:.4} - val_accuracy: {:.4}\n",
        m.epoch, m.seconds, m.images_per_second, m.loss, m.accuracy, m.val_loss, m.val_accuracy
    )
}
