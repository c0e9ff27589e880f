//! Validation on other data: a separate folder or file besides the training data.

use crate::data::formats::Format;
use crate::data::formats::parts::{TRAIN, VALIDATION, file, has_no_tests};
use crate::data::schema::{ANSWERS, NUMBERS};
use crate::data::{BUILT_IN, Dataset, IGNORED, ReadOptions, Split, TargetKind, TextOptions, differing};
use crate::error::{Error, Result, in_context};
use std::path::Path;

impl Dataset {
    /// Opens the data `spec`, which is validated on `val`: all of it, or if it has parts itself the one to validate on, else its tests. The tests of
    /// `spec` are those at the end; where it has none, all of it is trained on, and `val` is what it is tested on.
    ///
    /// Pictures are brought to the size and the channels of those to train on, columns are standardised as theirs are, and
    /// classes are matched by their names.
    ///
    /// # Errors
    /// As [`Dataset::open_with`]; [`Error::Input`] too where `val` is the same data, is of another format, or has samples,
    /// classes or targets that `spec` does not have, and where `spec` has a part to validate on itself.
    pub fn open_validated(spec: &str, val: &str, options: &ReadOptions) -> Result<Dataset> {
        let place = |spec: &str| Path::new(spec).canonicalize().ok();
        if spec == val || place(spec).is_some_and(|own| place(val) == Some(own)) {
            let why = "found the data that is trained on, expected other data to validate on";
            return Err(Error::input(format!("val {val}: {why}")));
        }
        let mut data = Dataset::open_with(spec, &ReadOptions { train_alone: true, ..*options })?;
        if data.validation.is_some() {
            let name = &data.name;
            let why = format!("data set {name} has a part to validate on, expected data without one, or no val");
            return Err(Error::input(format!("val {val}: {why}")));
        }
        let in_val = |e| in_context(&format!("val {val}"), e);
        let [format, found] = [kind(spec)?, kind(val).map_err(in_val)?];
        if format != found {
            return Err(Error::input(format!("val {val}: found {found}, expected {format} as the data to train on")));
        }
        let other = data.open_alike(val, options).map_err(in_val)?;
        // Of data that has parts itself the one to validate on is meant, and what it says of the others is not.
        let (other, said) = match other.validation {
            Some(validation) => (validation, None),
            None => (other.test, other.notice),
        };
        data.note(said);
        match std::mem::take(&mut data.held_out) {
            true => {
                data.note([format!("every epoch is validated on {val}; {spec} has no tests: all of it is trained on")]);
                (data.test, data.untested) = (other, true);
            }
            false => {
                data.note([format!(
                    "every epoch is validated on {val}; the tests of {spec} are used once, at the end"
                )]);
                data.validation = Some(other);
            }
        }
        Ok(data)
    }

    /// Other data as this is: its images of the same size, its columns standardised alike, its classes told by their names, its
    /// text read by the same tokens. What it holds is in the test split of the result.
    fn open_alike(&self, spec: &str, options: &ReadOptions) -> Result<Dataset> {
        let schema = self.train.schema();
        let (input, target) = (schema.input(None)?, schema.target()?);
        let target_kind = match &*target.name {
            NUMBERS => TargetKind::Numbers,
            ANSWERS => TargetKind::Answers,
            _ => TargetKind::Classes,
        };
        let [height, width, channels] = self.train.shape();
        // Pictures from files have their names.
        let pictures = self.train.name_of(0).is_some();
        let known = self.text.as_ref();
        let length = known.map(|_| input.elements());
        let pairs = known.map(|_| self.target.is_some());
        let text =
            TextOptions { known, known_target: self.target.as_ref(), length, pairs, shrinks: false, ..options.text };
        let alike = ReadOptions {
            tests_alone: true,
            train_alone: false,
            size: if pictures { Some([height, width]) } else { options.size },
            channels: if pictures { Some(channels) } else { options.channels },
            ignored: &[],
            columns: &input.scales,
            target_scales: &target.scales,
            target_kind,
            class_names: &self.class_names,
            text,
            ..*options
        };
        let other = Dataset::open_with(spec, &alike)?;
        self.check_alike(&other)?;
        Ok(other)
    }

    /// Takes in a part to validate on that lies as a file beside the others in the folder, if the format has not taken it.
    pub(in crate::data) fn take_validation(&mut self, folder: &Path, options: &ReadOptions) -> Result<()> {
        let alone = options.tests_alone || options.train_alone;
        if alone || !folder.is_dir() || self.validation.is_some() || self.held_out {
            return Ok(());
        }
        if has_no_tests(folder) {
            self.untested = true;
            return Ok(());
        }
        let of = |ending: &str| file(folder, TRAIN, ending).and_then(|_| file(folder, VALIDATION, ending));
        let Some(part) = of("tsv").or_else(|| of("csv")) else { return Ok(()) };
        let shown = part.display().to_string();
        let other = self.open_alike(&shown, options).map_err(|e| in_context(&shown, e))?;
        self.add_validation(other.test)?;
        self.note([format!("each epoch is validated on {shown}; the test file is used once, at the end")]);
        Ok(())
    }

    /// Opens the data of a run that was validated on `val`, for its tests alone: those of `spec`, or where it has none,
    /// those of `val`, which is read only then.
    ///
    /// # Errors
    /// As [`Dataset::open_validated`].
    pub fn open_tests(spec: &str, val: &str, options: &ReadOptions) -> Result<Dataset> {
        let data = Dataset::open_with(spec, &ReadOptions { train_alone: true, ..*options })?;
        if data.held_out { Dataset::open_validated(spec, val, options) } else { Ok(data) }
    }

    /// Gives the data its own part to validate on.
    ///
    /// # Errors
    /// [`Error::Input`] if its samples have other fields than those to train on.
    pub(in crate::data) fn add_validation(&mut self, validation: Split) -> Result<()> {
        let of = Dataset::new(self.name.clone(), self.train.clone(), validation)?;
        if of.classes > self.classes {
            (self.classes, self.class_names) = (of.classes, of.class_names);
        }
        self.validation = Some(of.test);
        Ok(())
    }

    /// Refuses other data whose samples are not of the same fields and classes.
    fn check_alike(&self, other: &Dataset) -> Result<()> {
        let fields = |data: &Dataset| data.test.schema().fields.into_iter().map(|field| field.name).collect::<Vec<_>>();
        let [found, expected] = [fields(other), fields(self)];
        if found != expected {
            let (found, expected) = (found.join(", "), expected.join(", "));
            return Err(Error::input(format!("found samples of {found}, expected {expected}")));
        }
        if let Some((found, expected)) = differing(&self.train, &other.test) {
            let (name, found, expected) = (found.name, found.shape, expected.shape);
            return Err(Error::input(format!("found the field {name} of shape {found:?}, expected {expected:?}")));
        }
        let most = other.test.each_label().filter(|label| *label != IGNORED).max().unwrap_or(0) as usize;
        if most >= self.classes {
            let expected = self.classes - 1;
            return Err(Error::input(format!("found label {most}, expected 0 to {expected} as in the training data")));
        }
        // A class that is named by its number may have a name elsewhere.
        let pairs = other.class_names.iter().zip(&self.class_names).enumerate();
        let differ = pairs.map(|(class, (found, expected))| (class.to_string(), found, expected));
        for (number, found, expected) in differ {
            if found != expected && ![found, expected].contains(&&number) {
                return Err(Error::input(format!("found class {number} as {found}, expected {expected}")));
            }
        }
        Ok(())
    }
}

/// The name of a data set's format.
fn kind(spec: &str) -> Result<&'static str> {
    if spec == BUILT_IN { Ok("IDX") } else { Format::of(Path::new(spec)).map(|format| format.name) }
}
