//! Validation on other data: a separate folder or file besides the training data.

use crate::data::formats::Format;
use crate::data::schema::{ANSWERS, NUMBERS};
use crate::data::{BUILT_IN, Dataset, IGNORED, ReadOptions, Split, TargetKind, TextOptions, differing};
use crate::error::{Error, Result, in_context};
use std::path::Path;

impl Dataset {
    /// Opens the data `spec`, which is validated on `val`: all of it, or its tests where it has a part for them. The tests of
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
        let schema = data.train.schema();
        let (input, target) = (schema.input(None)?, schema.target()?);
        let target_kind = match &*target.name {
            NUMBERS => TargetKind::Numbers,
            ANSWERS => TargetKind::Answers,
            _ => TargetKind::Classes,
        };
        let [height, width, channels] = data.train.shape();
        // Pictures from files have their names.
        let pictures = data.train.name_of(0).is_some();
        let text = TextOptions {
            known: data.text.as_ref(),
            known_target: data.target.as_ref(),
            pairs: data.text.as_ref().map(|_| data.target.is_some()),
            ..options.text
        };
        let of_val = ReadOptions {
            tests_alone: true,
            size: if pictures { Some([height, width]) } else { options.size },
            channels: if pictures { Some(channels) } else { options.channels },
            ignored: &[],
            columns: &input.scales,
            target_scales: &target.scales,
            target_kind,
            class_names: &data.class_names,
            text,
            ..*options
        };
        let other = Dataset::open_with(val, &of_val).map_err(in_val)?;
        data.check_alike(&other).map_err(in_val)?;
        let mut notices: Vec<String> = data.notice.take().into_iter().chain(other.notice).collect();
        match std::mem::take(&mut data.held_out) {
            true => {
                notices
                    .push(format!("every epoch is validated on {val}; {spec} has no tests: all of it is trained on"));
                data.test = other.test;
            }
            false => {
                notices
                    .push(format!("every epoch is validated on {val}; the tests of {spec} are used once, at the end"));
                data.validation = Some(other.test);
            }
        }
        data.notice = Some(notices.join("\nnote: "));
        Ok(data)
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
