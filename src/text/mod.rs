//! Text as tokens: tokenizers, their vocabularies built from a training text, and texts from tokens.

mod assembled;
mod chars;
pub mod choice;
#[cfg_attr(not(feature = "subwords"), path = "no_subwords.rs")]
mod subwords;
mod words;

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use subwords::Subwords;

/// The token that stands for none: of no known token, and of what is beyond the end. It has no embedding and is no target.
pub const NO_TOKEN: u32 = u32::MAX;

/// The kind of token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Unit {
    /// Characters (Unicode scalar values).
    #[default]
    Chars,
    /// The 256 bytes of UTF-8.
    Bytes,
    /// Words, numbers and punctuation marks in lower case, the most common ones of the training text.
    Words,
    /// Subwords, of a `tokenizer.json`.
    #[cfg_attr(feature = "cli", value(skip))]
    Subwords,
}

impl Unit {
    /// Those that a tokenizer of a text can have.
    pub const ALL: [Unit; 3] = [Unit::Chars, Unit::Bytes, Unit::Words];

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Chars => "chars",
            Unit::Bytes => "bytes",
            Unit::Words => "words",
            Unit::Subwords => "subwords",
        }
    }

    /// The name of these tokens in messages.
    pub fn plural(self) -> &'static str {
        match self {
            Unit::Chars => "characters",
            Unit::Bytes => "bytes",
            Unit::Words => "words",
            Unit::Subwords => "subwords",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Unit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Unit::ALL.map(Unit::name);
        Unit::ALL
            .into_iter()
            .find(|unit| unit.name() == text)
            .ok_or_else(|| crate::suggest::unknown("tokenizer", text, &names, ""))
    }
}

/// The tokens before and after a text that a model writes.
const ENDS: [&str; 2] = ["<begin>", "<end>"];

/// The most tokens of a vocabulary.
pub const MOST_TOKENS: usize = 1 << 18;

/// The fewest tokens of a byte-level BPE: the bytes, and the token between documents.
const LEAST_SUBWORDS: usize = 257;

/// The most bytes of a `tokenizer.json`.
const LARGEST_FILE_BYTES: u64 = 1 << 26;

/// A tokenizer: a unit, and the tokens in the order of their numbers, its vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Tokenizer {
    unit: Unit,
    tokens: Vec<String>,
    numbers: HashMap<String, u32>,
    subwords: Option<Arc<Subwords>>,
}

/// A tokenizer as model files have it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    unit: Unit,
    /// The tokens; of subwords those that their file does not have.
    tokens: Vec<String>,
    /// Of subwords: the text of their `tokenizer.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

impl TryFrom<Stored> for Tokenizer {
    type Error = String;

    fn try_from(Stored { unit, tokens, file }: Stored) -> Result<Self, String> {
        match (unit, file) {
            (Unit::Subwords, Some(file)) => Ok(Tokenizer::of_subwords(Arc::new(Subwords::read(&file)?), tokens)),
            (Unit::Subwords, None) => {
                Err("found subwords without a file, expected the text of their tokenizer.json".into())
            }
            (_, Some(_)) => Err(format!("found {} with a file, expected one of subwords alone", unit.plural())),
            (_, None) => Ok(Tokenizer::known(unit, tokens)),
        }
    }
}

impl From<Tokenizer> for Stored {
    fn from(Tokenizer { unit, mut tokens, subwords, .. }: Tokenizer) -> Self {
        let file = subwords.map(|subwords| {
            tokens.drain(..subwords.names().len());
            subwords.file().to_owned()
        });
        Stored { unit, tokens, file }
    }
}

impl Tokenizer {
    /// The tokenizer of a training text: all its characters, all bytes, or its `most` most common words and the token for any
    /// other.
    ///
    /// # Errors
    /// [`Error::Input`] for a text with fewer than two tokens, and one with more than [`MOST_TOKENS`] characters.
    pub fn of(unit: Unit, text: &str, most: usize) -> Result<Self> {
        let tokens = match unit {
            Unit::Chars => chars::vocabulary(text),
            Unit::Bytes => byte_names(),
            Unit::Words => words::vocabulary(text, most.min(MOST_TOKENS)),
            Unit::Subwords => return Err(Error::input("tokenizer subwords: expected the name of a tokenizer.json")),
        };
        let (found, plural) = (tokens.len(), unit.plural());
        if !(2..=MOST_TOKENS).contains(&found) {
            return Err(Error::input(format!(
                "the training text has {found} different {plural}, expected 2 to {MOST_TOKENS}"
            )));
        }
        Ok(Tokenizer::known(unit, tokens))
    }

    /// Reads a `tokenizer.json` of Hugging Face.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that cannot be read or is none, and for a tokenizer that would lose a part of a text.
    pub fn open(path: &Path) -> Result<Self> {
        let fault = |why: String| Error::input(format!("{}: {why}", path.display()));
        let unreadable = |e| fault(format!("it cannot be read: {e}; expected a tokenizer.json"));
        let bytes = crate::files::read(path, LARGEST_FILE_BYTES).map_err(unreadable)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| fault("found bytes that are not UTF-8, expected a tokenizer.json of Hugging Face".into()))?;
        Tokenizer::of_json(&text).map_err(fault)
    }

    /// The tokenizer of the text of a `tokenizer.json`.
    fn of_json(text: &str) -> Result<Self, String> {
        Ok(Tokenizer::of_subwords(Arc::new(Subwords::read(text)?), Vec::new()))
    }

    /// The text of a `tokenizer.json` with at most `size` tokens: a byte-level BPE with GPT-2's pattern, trained on a text.
    /// The same text gives the same tokens.
    ///
    /// # Errors
    /// [`Error::Input`] for fewer tokens than the 256 bytes and the token between documents, more than [`MOST_TOKENS`], and
    /// texts of 2 GiB or more.
    pub fn train(text: &str, size: usize) -> Result<String> {
        if !(LEAST_SUBWORDS..=MOST_TOKENS).contains(&size) {
            return Err(Error::input(format!(
                "size {size}: expected {LEAST_SUBWORDS} to {MOST_TOKENS} tokens: 256 bytes, subwords and <|endoftext|>"
            )));
        }
        if i32::try_from(text.len()).is_err() {
            return Err(Error::input(format!("found a text of {} bytes, expected less than 2 GiB", text.len())));
        }
        subwords::trained(text, size).map_err(Error::input)
    }

    /// A tokenizer of subwords and, after them, more tokens.
    fn of_subwords(subwords: Arc<Subwords>, more: Vec<String>) -> Self {
        let tokens = subwords.names().iter().cloned().chain(more).collect();
        Tokenizer { subwords: Some(subwords), ..Tokenizer::known(Unit::Subwords, tokens) }
    }

    /// The same tokens and, as the last two, those that begin and end a text: what a translation is made of.
    pub fn with_ends(self) -> Self {
        let tokens = self.tokens.into_iter().chain(ENDS.map(String::from)).collect();
        Tokenizer { subwords: self.subwords, ..Tokenizer::known(self.unit, tokens) }
    }

    /// The tokens that begin and end a text, where the last two of the vocabulary are these.
    pub fn ends(&self) -> Option<[u32; 2]> {
        if self.subwords.as_ref().is_some_and(|subwords| subwords.names().len() == self.tokens.len()) {
            return None;
        }
        let [.., begin, end] = &self.tokens[..] else { return None };
        let count = self.tokens.len() as u32;
        ([begin, end] == ENDS).then(|| [count - 2, count - 1])
    }

    /// The tokenizer of a known vocabulary, as a model stores it.
    pub fn known(unit: Unit, tokens: Vec<String>) -> Self {
        let numbers = tokens.iter().cloned().zip(0..).collect();
        Tokenizer { unit, tokens, numbers, subwords: None }
    }

    /// The kind of token.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The tokens, in the order of their numbers.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The number of each token of a text, [`NO_TOKEN`] for one that is not in the vocabulary and has no token in its place.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        if let Some(subwords) = &self.subwords {
            return subwords.encode(text).into_iter().map(|token| token.unwrap_or(NO_TOKEN)).collect();
        }
        let number = |token: &str| self.numbers.get(token).copied();
        match self.unit {
            Unit::Chars => {
                let mut bytes = [0; 4];
                text.chars().map(|c| number(c.encode_utf8(&mut bytes)).unwrap_or(NO_TOKEN)).collect()
            }
            Unit::Bytes => text.bytes().map(u32::from).collect(),
            Unit::Words | Unit::Subwords => {
                let unknown = number(words::UNKNOWN).unwrap_or(NO_TOKEN);
                words::split(text).map(|word| number(&word).unwrap_or(unknown)).collect()
            }
        }
    }

    /// The token that the tokenizer's file puts before every text, such as Llama 3's `<|begin_of_text|>`: what is generated begins with
    /// it.
    pub(crate) fn before(&self) -> Option<u32> {
        self.subwords.as_ref().and_then(|subwords| subwords.before())
    }

    /// The same tokens, none of them before every text.
    fn plain(self) -> Result<Self> {
        let Some(subwords) = self.subwords.as_ref().filter(|subwords| subwords.before().is_some()) else {
            return Ok(self);
        };
        let plain = subwords.plain().map_err(Error::failed)?;
        Ok(Tokenizer { subwords: Some(Arc::new(plain)), ..self })
    }

    /// The tokens that a text of its own stands between, such as BERT's [CLS] and [SEP].
    fn around(&self) -> Option<[u32; 2]> {
        self.subwords.as_ref().and_then(|subwords| subwords.around())
    }

    /// Tokens of a text that a sample of this many places has room for.
    pub fn room(&self, length: usize) -> usize {
        if self.around().is_some() { length.saturating_sub(2) } else { length }
    }

    /// The sample of `length` places that a text is: its tokens, as many as there is room for, between those that a text stands between,
    /// and after them [`NO_TOKEN`].
    pub fn sample(&self, mut tokens: Vec<u32>, length: usize) -> Vec<u32> {
        tokens.truncate(self.room(length));
        if let Some([begin, end]) = self.around() {
            tokens.insert(0, begin);
            tokens.push(end);
        }
        tokens.resize(length, NO_TOKEN);
        tokens
    }

    /// The token for all words that are not in the vocabulary, if there is one.
    pub fn unknown(&self) -> Option<u32> {
        if let Some(subwords) = &self.subwords {
            return subwords.unknown();
        }
        self.numbers.get(words::UNKNOWN).copied().filter(|_| self.unit == Unit::Words)
    }

    /// The text of tokens: characters one after the other, words with spaces between them; bytes that are no UTF-8 become
    /// U+FFFD, and what is no token, or begins or ends a text, is left out, at its
    /// beginning what the tokenizer's file puts before every text.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let ends = self.ends().unwrap_or([NO_TOKEN; 2]);
        if let Some(subwords) = &self.subwords {
            let known = |token: &u32| (*token as usize) < subwords.names().len();
            let tokens = match tokens {
                [first, rest @ ..] if self.before() == Some(*first) => rest,
                all => all,
            };
            return subwords.decode(&tokens.iter().copied().filter(known).collect::<Vec<_>>());
        }
        let text = |token: &u32| self.tokens.get(*token as usize).filter(|_| !ends.contains(token)).map(String::as_str);
        match self.unit {
            Unit::Chars => tokens.iter().filter_map(text).collect(),
            Unit::Bytes => {
                let bytes: Vec<u8> = tokens.iter().filter_map(|token| u8::try_from(*token).ok()).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Unit::Words | Unit::Subwords => words::joined(tokens.iter().filter_map(text)),
        }
    }
}

/// Names of the 256 bytes: ASCII as it is, all else by its number.
fn byte_names() -> Vec<String> {
    let name = |byte: u8| match byte {
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("0x{byte:02x}"),
    };
    (0..=255).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_known_tokens_comes_back() {
        let text = "Bœuf, 2 ×\n\tça — naïve? 🙂";
        for unit in [Unit::Chars, Unit::Bytes] {
            let tokenizer = Tokenizer::of(unit, text, 0).unwrap();
            assert_eq!(tokenizer.decode(&tokenizer.encode(text)), text, "{unit}");
        }
        let bytes = Tokenizer::of(Unit::Bytes, text, 0).unwrap();
        assert_eq!((bytes.tokens().len(), bytes.encode("é")), (256, vec![0xc3, 0xa9]));
        assert_eq!(bytes.decode(&[0xc3, 300, 0x41]), "\u{fffd}A");
    }

    #[test]
    fn characters_are_numbered_in_their_order() {
        let chars = Tokenizer::of(Unit::Chars, "hello", 0).unwrap();
        assert_eq!(chars.tokens(), ["e", "h", "l", "o"]);
        assert_eq!(chars.encode("hold"), [1, 3, 2, NO_TOKEN], "d is not in the text");
        assert_eq!(chars.decode(&[1, 3, NO_TOKEN]), "ho");
    }

    #[test]
    fn words_are_counted_and_the_rare_ones_share_a_token() {
        let text = "The cat saw the dog. The dog saw a bird.";
        let words = Tokenizer::of(Unit::Words, text, 5).unwrap();
        assert_eq!(words.tokens(), ["<unk>", "the", ".", "dog", "saw"]);
        assert_eq!(words.encode("A dog saw THE cat."), [0, 3, 4, 1, 0, 2]);
        assert_eq!((words.unknown(), words.decode(&[1, 3, 4, 0, 2])), (Some(0), "the dog saw <unk>.".into()));
    }

    #[test]
    fn a_translation_begins_and_ends_with_tokens_of_its_own() {
        for unit in Unit::ALL {
            let plain = Tokenizer::of(unit, "ab <begin> ab", 10).unwrap();
            let both = plain.clone().with_ends();
            let [begin, end] = both.ends().unwrap();
            assert_eq!((plain.ends(), begin as usize, end), (None, plain.tokens().len(), begin + 1), "{unit}");
            let known = both.encode("ab <end>");
            assert!(!known.contains(&begin) && !known.contains(&end), "{unit}: no text has them");
            let tokens = [&[begin][..], &both.encode("ab"), &[end]].concat();
            assert_eq!(both.decode(&tokens), "ab", "{unit}");
        }
    }

    #[test]
    fn a_text_of_one_token_is_refused() {
        for (unit, text) in [(Unit::Chars, ""), (Unit::Chars, "aaaa"), (Unit::Words, "")] {
            let error = Tokenizer::of(unit, text, 10).unwrap_err().to_string();
            assert!(error.contains("expected 2 to"), "{error}");
        }
        assert!("char".parse::<Unit>().unwrap_err().contains("did you mean 'chars'"));
    }
}
