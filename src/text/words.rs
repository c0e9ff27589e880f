//! Words as tokens: letters and digits in a row, in lower case, and every other mark as a separate token.

use std::cmp::Reverse;
use std::collections::HashMap;

/// The token in place of every word that is not in the vocabulary.
pub(super) const UNKNOWN: &str = "<unk>";

/// The words of a text. An apostrophe or a hyphen between letters belongs to the word.
pub(super) fn split(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        // The token itself, where a text was made from tokens.
        let length = if rest.starts_with(UNKNOWN) { UNKNOWN.len() } else { word_length(rest)? };
        let (word, after) = rest.split_at(length);
        rest = after;
        Some(word.to_lowercase())
    })
}

/// Bytes of the word that a text begins with; none at its end.
fn word_length(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    if !first.is_alphanumeric() {
        return Some(first.len_utf8());
    }
    let mut length = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let joins = ['\'', '’', '-'].contains(&c) && chars.peek().is_some_and(|next| next.is_alphanumeric());
        if !(c.is_alphanumeric() || joins || is_mark(c)) {
            break;
        }
        length += c.len_utf8();
    }
    Some(length)
}

/// Whether a character is a combining mark of the letter before it.
fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// The token for unknown words, then the most common words, at most `most` in all; of equals the first in the alphabet.
pub(super) fn vocabulary(text: &str, most: usize) -> Vec<String> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    split(text).for_each(|word| *counts.entry(word).or_default() += 1);
    counts.remove(UNKNOWN);
    let mut words: Vec<(String, u64)> = counts.into_iter().collect();
    words.sort_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
    let words = words.into_iter().map(|(word, _)| word).take(most.saturating_sub(1));
    std::iter::once(UNKNOWN.into()).chain(words).collect()
}

/// Words with a space before each that is no closing mark.
pub(super) fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    let mut opened = true;
    for word in words {
        let closes = [".", ",", ";", ":", "!", "?", ")", "]", "»", "…"].contains(&word);
        if !opened && !closes {
            text.push(' ');
        }
        text += word;
        opened = ["(", "[", "«", "¿", "¡"].contains(&word);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_marks_are_told_apart() {
        let words = |text| split(text).collect::<Vec<_>>();
        assert_eq!(
            words("Don't stop—it's a well-known  fact (2nd)."),
            ["don't", "stop", "—", "it's", "a", "well-known", "fact", "(", "2nd", ")", "."]
        );
        assert_eq!(words(" \n "), Vec::<String>::new());
        assert_eq!(words("- a- 'b'"), ["-", "a", "-", "'", "b", "'"]);
        assert_eq!(words("Ε\u{301}λα <unk>!"), ["ε\u{301}λα", "<unk>", "!"]);
        assert_eq!(joined(["¿", "quién", "(", "es", ")", "?"].into_iter()), "¿quién (es)?");
    }
}
