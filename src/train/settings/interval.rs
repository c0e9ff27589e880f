//! How often a run writes checkpoints within its epochs.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// An interval between checkpoints, in steps or in time; as text `500`, `30s`, `5m` or `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Interval {
    /// Every N steps, counted from the start of the run.
    Steps(u64),
    /// Whenever this much time has passed since the last one.
    Time(Duration),
}

/// Seconds of a unit of time.
const UNITS: [(char, u64); 3] = [('h', 3600), ('m', 60), ('s', 1)];

impl FromStr for Interval {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::input(format!(
                "checkpoint every '{text}': a number of steps is expected, or a time like 30s, 5m or 2h"
            ))
        };
        let unit = UNITS.iter().find(|(unit, _)| text.ends_with(*unit));
        let digits = unit.map_or(text, |_| &text[..text.len() - 1]);
        // Parsing alone would take a sign.
        let number = Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse::<u64>().ok());
        let every = match (number.filter(|n| *n > 0), unit) {
            (Some(steps), None) => Some(Interval::Steps(steps)),
            (Some(n), Some((_, seconds))) => n.checked_mul(*seconds).map(Duration::from_secs).map(Interval::Time),
            (None, _) => None,
        };
        every.ok_or_else(wrong)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Interval::Steps(steps) => write!(f, "{steps}"),
            Interval::Time(time) => {
                let seconds = time.as_secs();
                let (unit, size) = UNITS.iter().find(|(_, size)| seconds.is_multiple_of(*size)).unwrap_or(&UNITS[2]);
                write!(f, "{}{unit}", seconds / size)
            }
        }
    }
}

impl TryFrom<String> for Interval {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Interval> for String {
    fn from(every: Interval) -> String {
        every.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_and_shown_alike() {
        for text in ["1", "500", "30s", "5m", "90s", "2h", "61m"] {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
        }
        assert_eq!("60m".parse::<Interval>().unwrap().to_string(), "1h");
        assert_eq!("5m".parse::<Interval>().unwrap(), Interval::Time(Duration::from_secs(300)));
        for text in
            ["", "0", "0m", "-1", "+1", "m", "1.5h", "5 m", "5d", "99999999999999999999", "9999999999999999999h"]
        {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }
}
