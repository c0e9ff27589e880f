//! Options for reading the files of a data set.

use crate::data::schema::Scale;
use crate::ir::element::Prepare;
use crate::text::{Tokenizer, Unit};
use serde::{Deserialize, Serialize};

/// Bytes of pictures that are held decoded, where nothing else is asked for: those of larger data sets stay in their files.
pub const PICTURE_BYTES: u64 = 1 << 30;

/// The kind of a table's targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetKind {
    /// Classes where a single target holds text, else numbers.
    #[default]
    Guessed,
    /// Numbers.
    Numbers,
    /// A single column of classes: texts or numbers, each another class.
    Classes,
    /// Yes-or-no answers, a column each.
    Answers,
}

/// How pictures of other proportions are brought to a size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Fit {
    /// Resized without keeping the proportions.
    #[default]
    Stretch,
    /// Resized, and cropped to the middle (torchvision's `Resize` and `CenterCrop`).
    Crop,
    /// Resized to fit, and padded with black (letterbox).
    Pad,
}

impl From<Fit> for Prepare {
    fn from(fit: Fit) -> Prepare {
        match fit {
            Fit::Stretch => Prepare::Resize,
            Fit::Crop => Prepare::Crop,
            Fit::Pad => Prepare::Pad,
        }
    }
}

impl From<Prepare> for Fit {
    /// That of pictures which are no digits.
    fn from(prepare: Prepare) -> Fit {
        match prepare {
            Prepare::Digits | Prepare::Resize => Fit::Stretch,
            Prepare::Crop => Fit::Crop,
            Prepare::Pad => Fit::Pad,
        }
    }
}

/// How a text becomes tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextOptions<'a> {
    /// The kind of token; by default a character.
    pub unit: Option<Unit>,
    /// The most words of a vocabulary.
    pub vocabulary: usize,
    /// The tokens of a sample: a window of a stream, or the most of a sentence.
    pub length: Option<usize>,
    /// Of a CSV: the column that holds the texts.
    pub column: Option<&'a str>,
    /// The tokenizer of a trained model, in place of one of the training text.
    pub known: Option<&'a Tokenizer>,
    /// The target tokenizer of a trained model that translates.
    pub known_target: Option<&'a Tokenizer>,
    /// Whether lines of two columns are pairs, a text and its translation, not a label and a text; without, pairs are
    /// recognised by first columns that mostly differ.
    pub pairs: Option<bool>,
    /// Whether each line of a text is a document of its own, which ends with a token for that.
    pub documents: bool,
    /// Of documents: whether a sample has no more tokens than the longest of them and its end, even where `length` is more.
    pub shrinks: bool,
    /// The share at the end of a single text that is held out for testing; without, a tenth.
    pub kept: Option<f64>,
}

/// Options for reading the files of a data set.
#[derive(Clone, Copy, Default)]
pub struct ReadOptions<'a> {
    /// Height and width that all images are brought to; without, they must have one size. Of CSV the size that images have.
    pub size: Option<[usize; 2]>,
    /// How a folder's pictures of other proportions are brought to that size.
    pub fit: Fit,
    /// Channels of the images, 1 grey or 3 RGB; without, 1 where every image is grey, else 3.
    pub channels: Option<usize>,
    /// Whether a file that cannot be used is an error; without, it is left out, named and counted.
    pub strict: bool,
    /// The most bytes of a split's pixels that are held in memory, where they can stay in their file instead (IDX that is
    /// not packed, NumPy); without, all are.
    pub hold_bytes: Option<u64>,
    /// The most bytes of pictures of a data set, decoded, that are held in memory: more stay in their files, and are decoded each
    /// time that they are read; without, all are held.
    pub hold_pictures: Option<u64>,
    /// Of a CSV table: the columns that are the targets; without, a CSV file holds a label and pixels in each line.
    pub targets: &'a [String],
    /// Of a table: columns that are not read.
    pub ignored: &'a [String],
    /// The kind of a table's targets.
    pub target_kind: TargetKind,
    /// Of a table: the columns that a model reads and how they are standardised; without, all that are no targets, by the
    /// training samples.
    pub columns: &'a [Scale],
    /// The same of targets that are numbers.
    pub target_scales: &'a [Scale],
    /// Of masks, and of NumPy labels: the value that stands for no class; it counts neither in the loss nor in a metric.
    pub ignore_label: Option<u32>,
    /// The names of the classes of a table or of masks in their order, as a model has them; without, those that are found,
    /// sorted.
    pub class_names: &'a [String],
    /// Whether only test data is requested: data without a test part is then used as a whole, and needs no training
    /// part.
    pub tests_alone: bool,
    /// Whether data that has no part of its own for tests keeps none: all of it is trained on, since it is validated on other
    /// data. Its test split then has samples that are trained on, and [`Dataset::held_out`](crate::data::Dataset::held_out)
    /// says so.
    pub train_alone: bool,
    /// Of text: how it becomes tokens.
    pub text: TextOptions<'a>,
    /// Is told how many files are read, of how many.
    pub progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
}

impl std::fmt::Debug for ReadOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("ReadOptions")
            .field("size", &self.size)
            .field("fit", &self.fit)
            .field("channels", &self.channels)
            .field("strict", &self.strict)
            .field("hold_bytes", &self.hold_bytes)
            .field("hold_pictures", &self.hold_pictures)
            .field("targets", &self.targets)
            .field("target_kind", &self.target_kind)
            .finish_non_exhaustive()
    }
}
