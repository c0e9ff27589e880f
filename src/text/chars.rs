//! Characters as tokens.

use std::collections::BTreeSet;

/// The characters of a text, each once, in the order of their code points (as nanoGPT and char-rnn sort them).
pub(super) fn vocabulary(text: &str) -> Vec<String> {
    let all: BTreeSet<char> = text.chars().collect();
    all.into_iter().map(String::from).collect()
}
