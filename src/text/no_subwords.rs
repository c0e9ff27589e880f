//! In place of subword tokenizers in a build without them (the feature `subwords`): every file of one is refused.

/// A tokenizer of a `tokenizer.json`: there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Subwords {}

const WHY: &str = "found subword tokens, expected a build of wgrad with the feature subwords";

impl Subwords {
    pub(super) fn read(_: &str) -> Result<Self, String> {
        Err(WHY.into())
    }

    pub(super) fn file(&self) -> &str {
        match *self {}
    }

    pub(super) fn names(&self) -> &[String] {
        match *self {}
    }

    pub(super) fn unknown(&self) -> Option<u32> {
        match *self {}
    }

    pub(super) fn around(&self) -> Option<[u32; 2]> {
        match *self {}
    }

    pub(super) fn before(&self) -> Option<u32> {
        match *self {}
    }

    pub(super) fn plain(&self) -> Result<Self, String> {
        match *self {}
    }

    pub(super) fn encode(&self, _: &str) -> Vec<Option<u32>> {
        match *self {}
    }

    pub(super) fn decode(&self, _: &[u32]) -> String {
        match *self {}
    }
}

pub(super) const END_OF_TEXT: &str = "<|endoftext|>";

pub(super) fn trained(_: &str, _: usize) -> Result<String, String> {
    Err(WHY.into())
}
