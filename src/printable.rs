//! Text from outside made fit for a terminal: without control characters, and of bounded length.

use std::borrow::Cow;
use std::path::Path;

/// The most characters of a message; further ones are left out of its middle.
const LONGEST: usize = 4000;

/// The text with control characters escaped as in Rust (`\u{1b}`), except line feeds and tabs: a terminal obeys them.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match obeyed(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// A path for JSON and for people: what of it is no Unicode becomes U+FFFD, since JSON has no other form for it.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A message for a person: printable, and where it is longer than a few thousand characters without its middle, which is
/// counted.
pub(crate) fn message(text: &str) -> Cow<'_, str> {
    let shown = printable(text);
    let count = shown.chars().count();
    if count <= LONGEST {
        return shown;
    }
    let half = LONGEST / 2;
    let begin: String = shown.chars().take(half).collect();
    let end: String = shown.chars().skip(count - half).collect();
    Cow::Owned(format!("{begin} … ({} characters left out) … {end}", count - 2 * half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_other_text_stays() {
        assert_eq!(printable("cat\u{1b}[31m\r\u{7}\u{9b}\n\té"), "cat\\u{1b}[31m\\r\\u{7}\\u{9b}\n\té");
        assert!(matches!(printable("a class, 日本"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_long_message_keeps_its_ends() {
        let long = format!("error: {}; expected less", "é".repeat(1_000_000));
        let shown = message(&long);
        assert!(shown.chars().count() < LONGEST + 50 && shown.starts_with("error: é") && shown.ends_with("less"));
        assert!(shown.contains(&format!("({} characters left out)", long.chars().count() - LONGEST)), "{shown}");
        assert_eq!(message("short"), "short");
    }
}
