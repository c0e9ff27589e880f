//! The tokenizer that a user chooses: by its kind, to be made from the training text, or a file.

use crate::error::Result;
use crate::text::{Tokenizer, Unit};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// What `--tokenizer` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TokenizerChoice {
    /// A tokenizer of the training text.
    Unit(Unit),
    /// The place of a `tokenizer.json`.
    File(String),
}

impl TokenizerChoice {
    /// The kind of token, where the tokenizer is to be made from the training text.
    pub fn unit(&self) -> Option<Unit> {
        match self {
            TokenizerChoice::Unit(unit) => Some(*unit),
            TokenizerChoice::File(_) => None,
        }
    }

    /// The tokenizer of the file, where it is one.
    ///
    /// # Errors
    /// As [`Tokenizer::open`].
    pub fn open(&self) -> Result<Option<Tokenizer>> {
        match self {
            TokenizerChoice::Unit(_) => Ok(None),
            // A net that is trained from scratch never sees what the file puts before every text.
            TokenizerChoice::File(path) => Tokenizer::open(Path::new(path))?.plain().map(Some),
        }
    }
}

impl fmt::Display for TokenizerChoice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            TokenizerChoice::Unit(unit) => unit.fmt(f),
            TokenizerChoice::File(path) => f.write_str(path),
        }
    }
}

impl From<TokenizerChoice> for String {
    fn from(choice: TokenizerChoice) -> String {
        choice.to_string()
    }
}

impl TryFrom<String> for TokenizerChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for TokenizerChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = match text.parse() {
            Ok(unit) => return Ok(TokenizerChoice::Unit(unit)),
            Err(unknown) => unknown,
        };
        // A kind has no such characters, and most files have one.
        if text.contains(['.', '/', '\\']) || Path::new(text).exists() {
            return Ok(TokenizerChoice::File(text.into()));
        }
        Err(format!("{unknown}, or a tokenizer.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_or_a_file_is_chosen() {
        assert_eq!("words".parse(), Ok(TokenizerChoice::Unit(Unit::Words)));
        assert_eq!("a/tokenizer.json".parse(), Ok(TokenizerChoice::File("a/tokenizer.json".into())));
        let error = "wrods".parse::<TokenizerChoice>().unwrap_err();
        assert!(error.contains("did you mean 'words'") && error.ends_with("or a tokenizer.json"), "{error}");
    }
}
