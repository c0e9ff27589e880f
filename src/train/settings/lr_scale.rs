//! Learning rates of some layers: a factor for each.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The factor of the learning rate of some layers, as text `layer1=0.1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LrScale {
    /// The layers, as `--freeze` names them.
    pub of: String,
    /// The factor, above 0.
    pub by: f64,
}

impl FromStr for LrScale {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::input(format!(
                "lr scale '{text}': expected layers and the factor of their learning rate, above 0, such as layer1=0.1"
            ))
        };
        let (of, by) = text.rsplit_once('=').ok_or_else(wrong)?;
        let by = by.parse::<f64>().ok().filter(|by| *by > 0.0 && *by as f32 > 0.0 && (*by as f32).is_finite());
        Ok(LrScale { of: Some(of).filter(|of| !of.is_empty()).ok_or_else(wrong)?.into(), by: by.ok_or_else(wrong)? })
    }
}

impl fmt::Display for LrScale {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}={}", self.of, self.by)
    }
}

impl TryFrom<String> for LrScale {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<LrScale> for String {
    fn from(scale: LrScale) -> String {
        scale.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_a_factor_are_read_and_written() {
        for text in ["layer1=0.1", "0=2", "all but head=0.05", "a=b=3"] {
            assert_eq!(text.parse::<LrScale>().unwrap().to_string(), text);
        }
        for text in ["", "0", "=1", "0=", "0=0", "0=-1", "0=NaN", "0=inf", "0=1e-50", "0=1e39"] {
            assert!(text.parse::<LrScale>().is_err_and(|error| error.to_string().contains("lr scale")), "{text}");
        }
    }
}
