//! The settings of a run, and their file.

use crate::data::Fit;
use crate::error::{Error, Result};
use crate::text::choice::TokenizerChoice;
#[cfg(feature = "cli")]
use crate::train::settings::flags::{self, DATA, DEVICE, MODEL, RUN};
use crate::train::settings::interval::Interval;
use crate::train::settings::normalise::Normalise;
use crate::train::settings::options::TrainOptions;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The most bytes that a configuration may have.
pub const LARGEST_CONFIG_BYTES: u64 = 1 << 20;

/// The settings of a run: the flags of `wgrad train`, the keys of a run folder's `config.toml`, where all are resolved, and
/// what a library's user fills in. A field's documentation is its flag's help.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct RunConfig {
    /// A preset (mnist-cnn, mnist-deep, mnist-bn, resnet-small, unet-small, char-rnn, text-classifier, translator,
    /// gpt-mini, gpt-char, translator-transformer, vit-mini, mlp, or a published net such as resnet18) or a model file [default by the data: mnist-cnn for 28 × 28 in grey, resnet-small for other pictures, unet-small for masks, mlp for a
    /// table and for pictures below 8 × 8, char-rnn for a text, text-classifier for texts with labels, translator
    /// for pairs of texts; recipe best: mnist-bn]
    #[cfg_attr(feature = "cli", arg(long, short, alias = "arch", value_name = "NAME|FILE.toml", default_value_t = RunConfig::default().model, hide_default_value = true, help_heading = MODEL))]
    pub model: String,
    /// mnist, a CSV file (a list of pictures or their pixels), an .npz file, a text (.txt), texts
    /// with labels or pairs of texts (.tsv), or a folder, recognised in this order:
    /// CIFAR-10 binary (data_batch_1.bin …), NumPy (x_train.npy …), four IDX files, images/ with masks/, images with a
    /// folder for each class, CSV (train.csv, test.csv), text (train.txt with val.txt or test.txt; train.tsv)
    #[cfg_attr(feature = "cli", arg(long, short, aliases = ["dataset", "data-dir", "data-path"], value_name = "mnist|DIR|FILE", default_value_t = RunConfig::default().data, help_heading = DATA))]
    pub data: String,
    /// Other data to validate on after each epoch, in --data's format; --data's own tests, if any, are used once, at the
    /// end
    #[cfg_attr(feature = "cli", arg(long, aliases = ["val-data", "val-dir", "validation-data"], value_name = "DIR|FILE", conflicts_with = "validation_split", help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val: Option<String>,
    /// For a CSV table: the columns to predict, such as price; the others are features. For a list of pictures: the
    /// column of labels
    #[cfg_attr(feature = "cli", arg(long, alias = "targets", value_name = "COLUMN,…", value_delimiter = ',', help_heading = DATA))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target: Vec<String>,
    /// For a CSV table: columns to leave out, such as id
    #[cfg_attr(feature = "cli", arg(long, value_name = "COLUMN,…", value_delimiter = ',', help_heading = DATA))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Height and width: a folder's images are resized to it, images in a CSV file have it; 64 or 48x64
    #[cfg_attr(feature = "cli", arg(long, aliases = ["imgsz", "img-size", "input-size"], value_name = "N|HxW", value_parser = flags::image_size, help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<[usize; 2]>,
    /// How pictures of other proportions are fitted to --image-size
    #[cfg_attr(feature = "cli", arg(long, value_enum, value_name = "HOW", default_value_t = RunConfig::default().fit, help_heading = DATA))]
    #[serde(skip_serializing_if = "is_stretch")]
    pub fit: Fit,
    /// Channels of a folder's images: 1 for grey, 3 for RGB [default: 1 if all are grey, else 3]
    #[cfg_attr(feature = "cli", arg(long, value_name = "1|3", value_parser = flags::image_channels, help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_channels: Option<usize>,
    /// Stop if a folder of images has a file that cannot be used, instead of leaving it out
    #[cfg_attr(feature = "cli", arg(long, help_heading = DATA))]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strict_data: bool,
    /// For masks: a value to ignore in the loss and the metrics, such as 255; or a colour, such as '#ff0000'
    #[cfg_attr(feature = "cli", arg(long, value_name = "VALUE", value_parser = flags::mask_value, help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_label: Option<u32>,
    /// For a CSV file: the column of texts; --target names the column of labels
    #[cfg_attr(feature = "cli", arg(long, value_name = "COLUMN", help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// For text: the kind of token, chars, bytes or words; or a tokenizer.json of Hugging Face, which wgrad data make
    /// tokenizer makes too [default: chars; for labelled texts and pairs: words]
    #[cfg_attr(feature = "cli", arg(long, value_name = "UNIT|FILE", help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerChoice>,
    /// For text: the maximum size of the vocabulary; rarer words become one unknown token [default: 10000]
    #[cfg_attr(feature = "cli", arg(long, alias = "vocab-size", value_name = "N", value_parser = flags::whole::<usize>, help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<usize>,
    /// For text: tokens per sample [default: the model's own]
    #[cfg_attr(feature = "cli", arg(long, aliases = ["seq-len", "sequence-length", "seq-length", "block-size"], value_name = "N", value_parser = flags::whole::<usize>, help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// For text: each line is a document, a sequence of its own with a token that ends it, such as a list of names; generate
    /// stops at the end
    #[cfg_attr(feature = "cli", arg(long, help_heading = DATA))]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub documents: bool,
    /// Use only N training samples: the first ones, or, if these lack a class, N drawn from all classes in proportion
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = flags::whole::<usize>, help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<usize>,
    /// Use only N test samples, and N validation samples, chosen in the same way
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = flags::whole::<usize>, help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<usize>,
    /// Normalise each channel as (value - mean) / deviation, with values from 0 to 1: imagenet, means and deviations
    /// such as 0.5,0.5,0.5/0.25,0.25,0.25, or none; it overrides a model file's and is stored with the model
    #[cfg_attr(feature = "cli", arg(long, alias = "normalize", value_name = "imagenet|MEAN,…/STD,…|none", help_heading = DATA))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalise: Option<Normalise>,
    /// Read a text in order, one part of it per row of the batch, and let recurrent layers keep their state from batch to
    /// batch, as char-rnn does; for a model that continues texts
    #[cfg_attr(feature = "cli", arg(long, alias = "stateful", help_heading = MODEL))]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub carry: bool,
    /// Initial weights, from a safetensors file (PyTorch's included)
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", help_heading = MODEL))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Fine-tune a trained model; the last dense layer is replaced if the data has other classes
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", conflicts_with_all = ["model", "init"], help_heading = MODEL))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// With --from: train low-rank adapters of this rank (LoRA) and leave all other weights as they are
    #[cfg_attr(feature = "cli", arg(long, value_name = "RANK", value_parser = flags::whole::<usize>, help_heading = MODEL))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<usize>,
    /// The weights that have adapters, such as self_attn,linear1,linear2; a layer's number stands before the name or alone
    /// [default: self_attn.in_proj_weight, which makes queries, keys and values]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = MODEL))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lora_on: Vec<String>,
    /// The device, as `--device` takes it; where it is not given, the command takes what `WGRAD_DEVICE` names, or else
    /// `auto`. A run's folder has it always.
    #[cfg_attr(feature = "cli", arg(long, value_name = "D", help = crate::device::choice::HELP, long_help = crate::device::choice::HELP, help_heading = DEVICE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Stop if there is no GPU
    #[cfg_attr(feature = "cli", arg(long, help_heading = DEVICE))]
    pub require_gpu: bool,
    /// Threads of the native CPU; 0 uses all cores
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = flags::whole::<usize>, default_value_t = RunConfig::default().threads, help_heading = DEVICE))]
    pub threads: usize,
    /// Write every step's loss to steps.jsonl
    #[cfg_attr(feature = "cli", arg(long, help_heading = RUN))]
    pub log_steps: bool,
    /// Write a checkpoint every N steps or every 30s, 5m, 2h, and at the end of every epoch
    #[cfg_attr(feature = "cli", arg(long, alias = "save-every", value_name = "N|TIME", allow_negative_numbers = true, help_heading = RUN))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<Interval>,
    /// The options that decide the numbers.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub train: TrainOptions,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_stretch(fit: &Fit) -> bool {
    *fit == Fit::Stretch
}

impl Default for RunConfig {
    fn default() -> Self {
        RunConfig {
            model: "mnist-cnn".into(),
            data: crate::data::BUILT_IN.into(),
            val: None,
            target: Vec::new(),
            ignore: Vec::new(),
            image_size: None,
            fit: Fit::Stretch,
            image_channels: None,
            strict_data: false,
            ignore_label: None,
            text: None,
            tokenizer: None,
            vocabulary: None,
            length: None,
            documents: false,
            train_limit: None,
            test_limit: None,
            normalise: None,
            carry: false,
            lora: None,
            lora_on: Vec::new(),
            init: None,
            from: None,
            device: None,
            require_gpu: false,
            threads: 0,
            log_steps: false,
            checkpoint_every: None,
            train: TrainOptions::default(),
        }
    }
}

impl RunConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Error::Input`] that names the file, and the line of an unknown key or a value of another type.
    pub fn read(path: &Path) -> Result<Self> {
        let fault = |why: &dyn std::fmt::Display| Error::input(format!("{}: {why}", path.display()));
        let text = crate::files::read_text(path, LARGEST_CONFIG_BYTES).map_err(|e| fault(&e))?;
        toml::from_str(&text).map_err(|e: toml::de::Error| {
            // The library's own text is a drawing of several lines.
            let start = e.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
            let message = e.message().replace('\n', " ");
            fault(&format!("line {line}: {message}{}", crate::suggest::hint_in(&message)))
        })
    }

    /// Refuses another net than that of these settings: a file that was copied into the folder of another run.
    ///
    /// # Errors
    /// [`Error::Input`] that names both.
    pub fn check_net(&self, found: &str) -> Result<()> {
        let stem = Path::new(&self.model).file_stem().filter(|_| self.model.ends_with(".toml"));
        let own = stem.map_or_else(|| self.model.clone().into(), |stem| stem.to_string_lossy());
        match own == found || self.model == found {
            true => Ok(()),
            false => Err(Error::input(format!("found the net {found}, expected {own}, which config.toml names"))),
        }
    }

    /// The configuration as a file.
    pub fn to_toml(&self) -> Result<String> {
        let resolved = RunConfig { train: self.train.clone().resolved(), ..self.clone() };
        toml::to_string(&resolved).map_err(|e| Error::failed(format!("the configuration cannot be written: {e}")))
    }

    /// The folder of the data, absolute, so that it is found from elsewhere too; none for the built-in set.
    pub fn data_folder(&self) -> Option<String> {
        absolute(&self.data)
    }

    /// Makes the places of the validation data and the tokenizer absolute, so that a run finds them from elsewhere too.
    pub fn settle_val(&mut self) {
        if let Some(TokenizerChoice::File(place)) = &mut self.tokenizer
            && let Some(found) = absolute(place)
        {
            *place = found;
        }
        if let Some(place) = self.val.as_deref().and_then(absolute) {
            self.val = Some(place);
        }
    }
}

/// The place of data as an absolute path; none for the built-in set.
fn absolute(data: &str) -> Option<String> {
    let folder = (data != crate::data::BUILT_IN).then(|| std::path::absolute(data).ok())??;
    folder.to_str().map(Into::into)
}
