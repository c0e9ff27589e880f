//! The setting `normalise`: images normalised channel by channel, by name, by numbers, or not at all.

use crate::model::normalise::ChannelNorm;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// ImageNet's means and standard deviations, as torchvision's pretrained nets take them.
const IMAGENET: [[f64; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];

/// The message for other values.
const EXPECTED: &str = "expected imagenet, none, or means and deviations such as 0.5,0.5,0.5/0.25,0.25,0.25";

/// How a run's images are normalised, whatever its model file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalise(pub Option<ChannelNorm>);

impl FromStr for Normalise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let [mean, std] = match text.trim() {
            "none" => return Ok(Normalise(None)),
            "imagenet" => IMAGENET.map(|numbers| numbers.to_vec()),
            other => {
                let wrong = || format!("found {other:?}, {EXPECTED}");
                let list = |text: &str| {
                    text.split(',').map(|x| x.trim().parse::<f64>()).collect::<Result<Vec<_>, _>>().map_err(|_| wrong())
                };
                let (mean, std) = other.split_once('/').ok_or_else(wrong)?;
                [list(mean)?, list(std)?]
            }
        };
        Ok(Normalise(Some(ChannelNorm { mean, std })))
    }
}

impl fmt::Display for Normalise {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Some(ChannelNorm { mean, std }) = &self.0 else { return write!(f, "none") };
        let list = |numbers: &[f64]| numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        write!(f, "{}/{}", list(mean), list(std))
    }
}

impl Serialize for Normalise {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// As on the command line, or as a model file has it: `{ mean = […], std = […] }`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Words(String),
    Table(ChannelNorm),
}

impl<'de> Deserialize<'de> for Normalise {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = Form::deserialize(deserializer);
        match form.map_err(|_| D::Error::custom(format!("normalise: {EXPECTED}, or {{ mean = […], std = […] }}")))?
        {
            Form::Words(text) => text.parse().map_err(D::Error::custom),
            Form::Table(norm) => Ok(Normalise(Some(norm))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_come_back_and_others_are_refused() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct File {
            normalise: Normalise,
        }
        let file = |line: &str| toml::from_str::<File>(line).map(|file| file.normalise);
        for text in ["none", "0.5/0.25", "0.1,0.2,0.3/1,2,3"] {
            let found: Normalise = text.parse().expect(text);
            assert_eq!(found.to_string(), text);
            let line = toml::to_string(&File { normalise: found.clone() }).expect(text);
            assert_eq!(file(&line).expect(text), found);
        }
        let named = ChannelNorm { mean: IMAGENET[0].to_vec(), std: IMAGENET[1].to_vec() };
        assert_eq!("imagenet".parse(), Ok(Normalise(Some(named.clone()))));
        let table = "normalise = { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }";
        assert_eq!(file(table).expect("a table"), Normalise(Some(named)));
        for text in ["", "mean", "1,2", "1/", "/1", "a/1", "1/2/3"] {
            let error = text.parse::<Normalise>().expect_err(text);
            assert!(error.contains("expected imagenet, none"), "{text}: {error}");
        }
        for line in ["normalise = 3", "normalise = { mean = [1] }", "normalise = { mean = [1], std = [1], x = 1 }"] {
            assert!(file(line).expect_err(line).to_string().contains("expected imagenet"), "{line}");
        }
    }
}
