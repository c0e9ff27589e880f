//! The flags of `wgrad train`, and the settings that they make with a file's.

use crate::cli::args::loss::LossArgs;
use crate::cli::args::optimizer::OptimizerArgs;
use crate::cli::args::schedule::ScheduleArgs;
use crate::cli::terminal::progress::Format;
use crate::error::{Error, Result};
use crate::model::init::InitMethod;
use crate::step::augment::Augment;
use crate::train::run::RunConfig;
use crate::train::settings::every::Every;
use crate::train::settings::recipe::Recipe;
use clap::Args;
use std::path::PathBuf;

/// Train a model
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wgrad train\n  wgrad train --model mnist-deep --epochs 3 --device cpu\n  \
wgrad train --resume runs/mnist-cnn/1\n  \
wgrad train --augment shift=2,rotate=10,scale=0.08\n  \
wgrad train --from runs/mnist-cnn/1/model.safetensors --freeze 0 --data my-digits")]
pub struct TrainArgs {
    /// A preset (mnist-cnn, mnist-deep, mnist-bn, resnet-small, unet-small) or a model file [default: mnist-cnn; recipe best: mnist-bn]
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(in crate::cli) model: Option<String>,
    /// Settings that go well together; other flags go before them [default: plain]
    #[arg(long, value_enum, value_name = "R", conflicts_with_all = ["config", "resume"])]
    pub(in crate::cli) recipe: Option<Recipe>,
    /// mnist, a CSV file, or a folder, recognised in this order: CIFAR-10 binary (data_batch_1.bin …), NumPy
    /// (x_train.npy …), four IDX files, images with a folder a class, CSV (train.csv, test.csv) [default: mnist]
    #[arg(long, value_name = "mnist|DIR|FILE.csv")]
    pub(in crate::cli) data: Option<String>,
    /// Height and width that a folder's images are brought to, or that CSV's have, such as 64 or 48x64
    #[arg(long, value_name = "N|HxW", value_parser = image_size)]
    pub(in crate::cli) image_size: Option<[usize; 2]>,
    /// Channels of a folder's images: 1 grey, 3 RGB [default: 1 where all are grey]
    #[arg(long, value_name = "1|3", value_parser = image_channels)]
    pub(in crate::cli) image_channels: Option<usize>,
    /// Stop where a folder of images has a file that cannot be used
    #[arg(long)]
    pub(in crate::cli) strict_data: bool,
    /// Passes over the training data [default: 10]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) epochs: Option<usize>,
    /// Samples of a step [default: 128]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) batch_size: Option<usize>,
    /// Learning rate [default: 0.001; sgd: 0.01]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(in crate::cli) lr: Option<f64>,
    #[command(flatten)]
    pub(in crate::cli) schedule: ScheduleArgs,
    #[command(flatten)]
    pub(in crate::cli) update: OptimizerArgs,
    #[command(flatten)]
    pub(in crate::cli) loss: LossArgs,
    /// Seed of the first weights and of every epoch's order [default: 0]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) seed: Option<u64>,
    #[arg(long, value_name = "D", help = crate::cli::DEVICE_HELP)]
    pub(in crate::cli) device: Option<String>,
    /// Refuse anything less than a GPU
    #[arg(long)]
    pub(in crate::cli) require_gpu: bool,
    /// Threads of the native CPU; 0 takes all cores [default: 0]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) threads: Option<usize>,
    /// The run's folder [default: the next runs/<model>/<n>]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) run_dir: Option<PathBuf>,
    /// End the run after so many steps
    #[arg(long, value_name = "N")]
    pub(in crate::cli) max_steps: Option<u64>,
    /// End the run after N epochs in a row without a smaller validation loss
    #[arg(long, value_name = "N")]
    pub(in crate::cli) patience: Option<usize>,
    /// Validate on so large a share of the training samples, such as 0.1 of every class; the test set is asked once, at
    /// the end
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(in crate::cli) validation_split: Option<f64>,
    /// Take batches in file order
    #[arg(long)]
    pub(in crate::cli) no_shuffle: bool,
    /// How the first weights are drawn [default: glorot-uniform]
    #[arg(long, value_enum, value_name = "M", conflicts_with_all = ["init", "from"])]
    pub(in crate::cli) init_method: Option<InitMethod>,
    /// First weights, from a safetensors file (PyTorch's included)
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) init: Option<PathBuf>,
    /// Go on from a trained model; the last dense layer is made anew where the data has other classes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "init"])]
    pub(in crate::cli) from: Option<PathBuf>,
    /// Layers that stay as they are, by their names in the weight file, such as 0,2
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    pub(in crate::cli) freeze: Option<Vec<String>>,
    /// Change training images at random, anew in each step: shift=PIXELS, rotate=DEGREES, scale=SHARE, shear=DEGREES,
    /// hflip, vflip, crop=PIXELS, cutout=PIXELS, mixup=A, or off
    #[arg(long, value_name = "LIST", conflicts_with = "resume")]
    pub(in crate::cli) augment: Option<Augment>,
    /// Take only the first N training samples
    #[arg(long, value_name = "N")]
    pub(in crate::cli) train_limit: Option<usize>,
    /// Take only the first N test samples
    #[arg(long, value_name = "N")]
    pub(in crate::cli) test_limit: Option<usize>,
    /// The most bytes of a split's images, and of labels of pixels, on the device, such as 64MiB: more come in chunks, the
    /// images from their file where that is IDX or NumPy [default: what the device takes]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(in crate::cli) device_data_limit: Option<u64>,
    /// Write every step's loss to steps.jsonl
    #[arg(long)]
    pub(in crate::cli) log_steps: bool,
    /// Begin with the settings of a file, such as a run folder's config.toml; flags go before it
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Go on with the run in this folder, as if it had never stopped; --epochs N prolongs it
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "model", "batch_size", "lr", "seed", "init_method", "run_dir", "no_shuffle", "init",
        "from", "freeze", "image_size", "image_channels", "strict_data", "train_limit", "test_limit", "log_steps", "config",
        "patience", "device_data_limit", "validation_split",
    ])]
    pub(in crate::cli) resume: Option<PathBuf>,
    /// With --resume: from the checkpoint before the last
    #[arg(long)]
    pub(in crate::cli) from_previous: bool,
    /// Write checkpoints every N steps or 30s, 5m, 2h, besides at the end of every epoch
    #[arg(long, value_name = "N|TIME", allow_negative_numbers = true)]
    pub(in crate::cli) checkpoint_every: Option<Every>,
    /// text, or json: one JSON object a line on stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(in crate::cli) format: Format,
    /// Print neither epochs nor progress
    #[arg(long)]
    pub(in crate::cli) quiet: bool,
    /// Leave no report.html
    #[arg(long)]
    pub(in crate::cli) no_report: bool,
    #[cfg(feature = "watch")]
    #[command(flatten)]
    pub(in crate::cli) watch: crate::cli::commands::watch::WatchArgs,
}

impl TrainArgs {
    /// The file's settings, or the defaults, with the flags over them.
    pub(in crate::cli) fn resolve(&self) -> Result<RunConfig> {
        let mut config = match &self.config {
            Some(path) => RunConfig::read(path)?,
            None => self.recipe.unwrap_or_default().config(),
        };
        fn set<T: Clone>(place: &mut T, flag: &Option<T>) {
            if let Some(value) = flag {
                *place = value.clone();
            }
        }
        set(&mut config.model, &self.model);
        set(&mut config.data, &self.data);
        config.device = self.device.clone().or(config.device);
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
        // First, since another optimizer has another rate.
        self.update.set(train);
        set(&mut train.init_method, &self.init_method);
        set(&mut train.epochs, &self.epochs);
        set(&mut train.batch_size, &self.batch_size);
        set(&mut train.seed, &self.seed);
        set(&mut train.freeze, &self.freeze);
        set(&mut train.augment, &self.augment);
        self.schedule.set(train);
        self.loss.set(train);
        train.lr = self.lr.or(train.lr);
        train.max_steps = self.max_steps.or(train.max_steps);
        train.patience = self.patience.or(train.patience);
        train.device_data_limit = self.device_data_limit.or(train.device_data_limit);
        train.validation_split = self.validation_split.or(train.validation_split);
        train.shuffle &= !self.no_shuffle;
        Ok(config)
    }
}

/// `1` or `3`.
fn image_channels(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|channels| [1, 3].contains(channels)).ok_or_else(|| "expected 1 (grey) or 3 (RGB)".into())
}

/// `65536`, `64KiB`, `64MiB` or `1GiB`.
fn bytes(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = units.into_iter().find_map(|(name, bits)| Some((text.strip_suffix(name)?, bits)));
    let (number, bits) = unit.unwrap_or((text, 0));
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << bits));
    // A configuration's numbers have a sign.
    bytes
        .filter(|bytes| (1..=i64::MAX as u64).contains(bytes))
        .ok_or_else(|| "expected a number of bytes from 1 on, such as 65536, 64KiB, 64MiB or 1GiB".into())
}

/// `64`, for 64 × 64, or `48x64`, rows first.
pub(in crate::cli) fn image_size(text: &str) -> Result<[usize; 2], String> {
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    match (height.parse(), width.parse()) {
        (Ok(height), Ok(width)) if height > 0 && width > 0 => Ok([height, width]),
        _ => Err("expected a number of pixels, such as 64, or height and width, such as 48x64".into()),
    }
}
