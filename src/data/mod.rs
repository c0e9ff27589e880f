//! Data sets: samples of named fields, checked once, from files, folders or memory.

pub mod colours;
pub mod column;
mod digits;
pub mod formats;
mod limit;
pub mod made;
pub mod options;
#[cfg(feature = "images")]
pub mod pictures;
pub mod region;
pub mod schema;
pub mod source;
pub mod split;
pub mod survey;
pub mod table;
pub mod tokens;
mod validated;
mod validation;
pub mod values;

pub use crate::ir::element::Prepare;
pub use column::Column;
pub use options::{Fit, PICTURE_BYTES, ReadOptions, TargetKind, TextOptions};
pub use schema::{Element, Field, IGNORED, Read, Scale, Schema};
pub use split::Split;

use crate::error::{Error, Result};
use crate::text::Tokenizer;
use formats::Format;
use schema::{ANSWERS, NUMBERS};
use std::path::Path;

/// The name of the built-in set on the command line and in run files.
pub const BUILT_IN: &str = "mnist";

/// The most classes of a data set.
pub const MOST_CLASSES: usize = 1 << 16;

/// Training and test samples of the same fields, and what their labels are called.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// `mnist`, or the name of the folder that the set was read from; never a whole path.
    pub name: String,
    /// The outputs that a model needs: classes (the largest label of both splits + 1, at least 2, at most [`MOST_CLASSES`]),
    /// yes-or-no answers, or targets.
    pub classes: usize,
    /// The name of each class, answer or target, `[classes]`.
    pub class_names: Vec<String>,
    /// The training split.
    pub train: Split,
    /// The validation split, if the data has its own; else epochs are validated on the test split, or on a share of
    /// the training samples.
    pub validation: Option<Split>,
    /// The test split.
    pub test: Split,
    /// Whether the test samples come from those to train on, since the data has no part of its own for tests.
    pub held_out: bool,
    /// Whether the data has no tests: epochs are validated on what `test` holds, and nothing is left to test on.
    pub untested: bool,
    /// How a picture becomes an image such as these.
    pub prepare: Prepare,
    /// Of text: its tokens.
    pub text: Option<Tokenizer>,
    /// Of pairs: the tokens of the translations.
    pub target: Option<Tokenizer>,
    /// A notice for the user about how the set was opened, if any.
    pub notice: Option<String>,
}

impl Dataset {
    /// A data set from its two splits; classes are counted from the labels and named by their numbers.
    ///
    /// # Errors
    /// [`Error::Input`] if the samples of the two splits differ in their fields or in the size of their images, and for a
    /// label of [`MOST_CLASSES`] or more.
    pub fn new(name: impl Into<String>, train: Split, test: Split) -> Result<Self> {
        let name = name.into();
        if train.shape() != test.shape() {
            let [[h, w, c], [height, width, channels]] = [test.shape(), train.shape()];
            return Err(Error::input(format!(
                "data set {name}: the test images are {h}×{w}×{c} (height×width×channels), but the training images are {height}×{width}×{channels}"
            )));
        }
        if train.positions() != test.positions() {
            return Err(Error::input(format!(
                "data set {name}: a test image has {} labels, but a training image has {}",
                test.positions(),
                train.positions()
            )));
        }
        let names = |split: &Split| split.schema().fields.into_iter().map(|field| field.name).collect::<Vec<_>>();
        if names(&train) != names(&test) {
            let (train, test) = (names(&train).join(", "), names(&test).join(", "));
            return Err(Error::input(format!(
                "data set {name}: a test sample has the fields {test}, but a training sample has {train}"
            )));
        }
        if let Some((found, expected)) = differing(&train, &test) {
            return Err(Error::input(format!(
                "data set {name}: field {} of a test sample is of shape {:?}, but of a training sample of shape {:?}",
                found.name, found.shape, expected.shape
            )));
        }
        let fields = train.schema().fields;
        if let Some(target) = fields.iter().find(|field| [ANSWERS, NUMBERS].contains(&&*field.name)) {
            let named = |at: usize| target.scales.get(at).map_or_else(|| at.to_string(), |scale| scale.name.clone());
            let class_names: Vec<String> = (0..target.elements()).map(named).collect();
            return Ok(Self {
                name,
                classes: class_names.len(),
                class_names,
                prepare: digits::prepare_for(&train)?,
                train,
                validation: None,
                test,
                held_out: false,
                untested: false,
                text: None,
                target: None,
                notice: None,
            });
        }
        let labels = train.each_label().chain(test.each_label()).filter(|label| *label != IGNORED);
        let largest = labels.max().unwrap_or(0);
        let classes = (largest as usize + 1).max(2);
        if classes > MOST_CLASSES {
            let most = MOST_CLASSES - 1;
            return Err(Error::input(format!("data set {name}: found label {largest}, expected 0 to {most}")));
        }
        let class_names = (0..classes).map(|class| class.to_string()).collect();
        let prepare = digits::prepare_for(&train)?;
        Ok(Self {
            name,
            classes,
            class_names,
            train,
            validation: None,
            test,
            held_out: false,
            untested: false,
            prepare,
            text: None,
            target: None,
            notice: None,
        })
    }

    /// Opens the built-in set (`mnist`) or what a path holds, see [`formats::ALL`]. A folder that is really named `mnist` is
    /// reached as `./mnist`.
    ///
    /// # Errors
    /// [`Error::Input`] if files are missing, ambiguous, malformed or of no known format, and where this build
    /// has no built-in set; [`Error::Failed`] if the built-in set can be unpacked nowhere.
    pub fn open(spec: &str) -> Result<Self> {
        Self::open_with(spec, &ReadOptions::default())
    }

    /// `open`, with a say in how files are read; what an option does not say of a format means nothing there.
    ///
    /// # Errors
    /// As [`Dataset::open`], and for files that are no images where the options are strict.
    pub fn open_with(spec: &str, options: &ReadOptions) -> Result<Self> {
        let no_table = |what: &str| {
            let targets = options.targets.join(", ");
            Err(Error::input(format!("target {targets}: only a CSV table has columns to learn, found {what}")))
        };
        if spec == BUILT_IN {
            if let Some(label) = options.ignore_label {
                let why = "expected masks or NumPy labels, found the built-in set";
                return Err(Error::input(format!("ignore label {}: {why}", values::text_of(label))));
            }
            return if options.targets.is_empty() { open_built_in() } else { no_table("the built-in set") };
        }
        if options.text.length == Some(0) {
            return Err(Error::input("length 0: expected one token or more"));
        }
        let path = Path::new(spec);
        if let Some(near) = crate::suggest::nearest(spec, [BUILT_IN]).filter(|_| !path.exists()) {
            let expected = formats::expected();
            return Err(Error::input(format!(
                "no data set '{spec}'; did you mean '{near}'? There is no such folder, expected {expected}"
            )));
        }
        if !path.exists() && spec.to_lowercase().ends_with(".csv") {
            return Err(Error::input(format!("data {spec}: found no such file, expected a CSV file")));
        }
        let format = Format::of(path)?;
        if !options.targets.is_empty() && format.name != "CSV" {
            return no_table(format.name);
        }
        if let (Some(label), false) =
            (options.ignore_label, ["NumPy arrays", "NumPy archive", "pictures with masks"].contains(&format.name))
        {
            let name = format.name;
            let label = values::text_of(label);
            return Err(Error::input(format!("ignore label {label}: expected masks or NumPy labels, found {name}")));
        }
        let mut data = (format.read)(path, options)?;
        data.check_size(options)?;
        data.take_validation(path, options)?;
        Ok(data)
    }
}

impl Dataset {
    /// How many samples there are to validate on, where the data has a part for that, and to test on.
    pub fn held_counts(&self) -> (Option<usize>, usize) {
        match self.untested {
            true => (Some(self.test.count), 0),
            false => (self.validation.as_ref().map(|split| split.count), self.test.count),
        }
    }

    /// Whether its samples are documents, each with a token that ends it.
    pub fn has_documents(&self) -> bool {
        let is_stream = |field: &Field| field.stream.is_some();
        self.text.is_some() && self.train.schema().own_targets().is_some_and(|field| !is_stream(field))
    }

    /// Adds notices for the user to those that there are.
    pub(crate) fn note(&mut self, said: impl IntoIterator<Item = String>) {
        self.notice = self.notice.take().into_iter().chain(said).reduce(|one, other| one + "\nnote: " + &other);
    }

    /// Checks images against the requested size and channels: not every format can convert them.
    fn check_size(&self, options: &ReadOptions) -> Result<()> {
        let Ok(input) = self.train.schema().input(None).cloned() else { return Ok(()) };
        let [height, width, channels] = self.train.shape();
        let other = options.size.filter(|size| *size != [height, width]);
        let asked = match (other, options.channels.filter(|asked| *asked != channels)) {
            (Some([h, w]), _) => format!("image size {w}×{h}"),
            (None, Some(asked)) => format!("image channels {asked}"),
            (None, None) => return Ok(()),
        };
        if input.shape.len() != 3 {
            return Ok(());
        }
        let name = &self.name;
        Err(Error::input(format!(
            "{asked}: data set {name} has images of {width}×{height}×{channels} (width×height×channels), which are taken as they \
             are; only pictures in folders are resized"
        )))
    }
}

/// A field of the test split whose shape is not that of the training split, and the latter's.
fn differing(train: &Split, test: &Split) -> Option<(Field, Field)> {
    let pairs = test.schema().fields.into_iter().zip(train.schema().fields);
    pairs.into_iter().find(|(found, expected)| found.shape != expected.shape)
}

#[cfg(feature = "mnist-data")]
fn open_built_in() -> Result<Dataset> {
    formats::mnist::load()
}

#[cfg(not(feature = "mnist-data"))]
fn open_built_in() -> Result<Dataset> {
    Err(Error::input(
        "this build of wgrad has no built-in data set (feature mnist-data): expected a folder of another data set",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(shape: [usize; 3], labels: &[u8]) -> Split {
        let pixels = (0..labels.len() * shape.iter().product::<usize>()).map(|i| i as u8).collect();
        Split::new(shape, pixels, labels.to_vec()).unwrap()
    }

    #[test]
    fn classes_are_counted_over_both_splits() {
        let classes = |train: &[u8], test: &[u8]| {
            let set = Dataset::new("s", split([1, 1, 1], train), split([1, 1, 1], test)).unwrap();
            assert_eq!(set.class_names.len(), set.classes);
            set.classes
        };
        assert_eq!(classes(&[0, 3], &[1]), 4);
        assert_eq!(classes(&[0, 3], &[255]), 256);
        assert_eq!(classes(&[0], &[0]), 2);
    }

    #[test]
    fn sizes_of_the_splits_must_agree() {
        let message = Dataset::new("s", split([2, 3, 1], &[0]), split([3, 2, 1], &[0])).unwrap_err().to_string();
        assert!(message.contains("3×2×1") && message.contains("2×3×1"), "{message}");
    }
}
