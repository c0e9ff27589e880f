//! The settings of a pretrained net: those of config.json, or the metadata of a GGUF file, by either name.

use crate::error::{Error, Result};
use crate::model::MOST_LAYERS;
use crate::model::layers::LARGEST;
use serde_json::{Map, Value};

/// Settings by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    values: Map<String, Value>,
}

impl Settings {
    pub(super) fn new(values: Map<String, Value>) -> Self {
        Settings { values }
    }

    /// The type of the model.
    pub(super) fn kind(&self) -> Result<&str> {
        let kind = self.values.get("model_type").and_then(Value::as_str);
        kind.ok_or_else(|| Error::input("found no model_type, expected the config.json of a model"))
    }

    /// The value of the first of these names that is there.
    fn get(&self, names: &[&str]) -> Option<&Value> {
        names.iter().find_map(|name| self.values.get(*name)).filter(|value| !value.is_null())
    }

    /// Whether there is such a setting, null or not.
    pub(super) fn says(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Whether there is such a setting that is not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(&[name]).is_some()
    }

    /// A setting that is text.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        self.get(&[name]).and_then(Value::as_str)
    }

    /// A size under one of these names.
    pub(super) fn size(&self, names: &[&str]) -> Result<usize> {
        let found = self.get(names);
        let size = found.and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
        size.filter(|size| (1..=LARGEST).contains(size)).ok_or_else(|| {
            let found = found.map_or("nothing".into(), ToString::to_string);
            Error::input(format!("{}: found {found}, expected a whole number from 1 to {LARGEST}", names.join(" or ")))
        })
    }

    /// A size that may be missing.
    pub(super) fn size_or(&self, names: &[&str], otherwise: usize) -> Result<usize> {
        self.get(names).map_or(Ok(otherwise), |_| self.size(names))
    }

    /// A number above 0 that may be missing.
    pub(super) fn number_or(&self, names: &[&str], otherwise: f64) -> Result<f64> {
        let Some(found) = self.get(names) else { return Ok(otherwise) };
        found
            .as_f64()
            .filter(|number| number.is_finite() && *number > 0.0)
            .ok_or_else(|| Error::input(format!("{}: found {found}, expected a number above 0", names.join(" or "))))
    }

    /// A number above 0.
    pub(super) fn number(&self, name: &str) -> Result<f64> {
        match self.get(&[name]) {
            Some(_) => self.number_or(&[name], 0.0),
            None => Err(Error::input(format!("{name}: found nothing, expected a number above 0"))),
        }
    }

    /// Whether this is said to be so.
    pub(super) fn flag_or(&self, name: &str, otherwise: bool) -> Result<bool> {
        let Some(found) = self.get(&[name]) else { return Ok(otherwise) };
        found.as_bool().ok_or_else(|| Error::input(format!("{name}: found {found}, expected true or false")))
    }

    /// The settings within another, which may have these names and no others.
    pub(super) fn within(&self, name: &str, keys: &[&str]) -> Result<Option<Settings>> {
        let Some(found) = self.get(&[name]) else { return Ok(None) };
        let shown = || crate::printable::printable(&found.to_string()).into_owned();
        let values = found.as_object().filter(|values| values.keys().all(|key| keys.contains(&&**key)));
        let values = values.ok_or_else(|| {
            Error::input(format!(
                "{name}: found {}, expected an object of {} and of nothing else",
                shown(),
                keys.join(", ")
            ))
        })?;
        Ok(Some(Settings::new(values.clone())))
    }

    /// The number of blocks.
    pub(super) fn layers(&self, names: &[&str]) -> Result<usize> {
        let found = self.size(names)?;
        if found > MOST_LAYERS {
            let names = names.join(" or ");
            return Err(Error::input(format!("{names}: found {found} blocks, expected at most {MOST_LAYERS}")));
        }
        Ok(found)
    }

    /// Refuses a setting that would make another net: it must be missing, null, or one of these.
    pub(super) fn only(&self, name: &str, expected: &[Value]) -> Result<()> {
        match self.get(&[name]) {
            Some(found) if !expected.contains(found) => {
                let all: Vec<String> = expected.iter().map(ToString::to_string).collect();
                let expected = if all.is_empty() { "none".into() } else { all.join(" or ") };
                Err(Error::input(format!(
                    "{name}: found {}, expected {expected}, which this net is built with",
                    crate::printable::printable(&found.to_string())
                )))
            }
            _ => Ok(()),
        }
    }
}
