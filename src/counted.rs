//! A count with its noun, in the singular or the plural: `1 sample`, `2 samples`, `3 classes`.

use std::fmt::Display;

/// `count` and `thing`, which is in the singular.
pub(crate) fn counted(count: impl Display, thing: &str) -> String {
    let count = count.to_string();
    match &count[..] {
        "1" => format!("1 {thing}"),
        _ if thing.ends_with('s') => format!("{count} {thing}es"),
        _ => format!("{count} {thing}s"),
    }
}
