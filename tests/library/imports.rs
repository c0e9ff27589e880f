//! Imports run one way: a folder of `src/` names only folders below it.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders from the bottom up; those of one line are peers, which do not name each other.
const RANKS: [&[&str]; 11] = [
    &["ir"],
    &["step"],
    &["ops"],
    &["plan"],
    &["device"],
    &["model", "data"],
    &["train"],
    &["onnx", "bench", "verify"],
    &["report"],
    &["watch"],
    &["cli"],
];

/// Leaves: everything may use them, and they use only each other.
const LEAVES: [&str; 9] = ["counted", "error", "files", "memory", "printable", "processes", "suggest", "sys", "text"];

fn rank(folder: &str) -> Option<usize> {
    RANKS.iter().position(|peers| peers.contains(&folder)).map(|rank| rank + 1)
}

/// Whether code of `from` may name `to`.
fn may(from: &str, to: &str) -> bool {
    if from == to || LEAVES.contains(&to) {
        return true;
    }
    match (rank(from), rank(to)) {
        (Some(from), Some(to)) => from > to,
        _ => false,
    }
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => files(&path, into),
            false => into.extend(path.extension().is_some_and(|e| e == "rs").then_some(path)),
        }
    }
}

/// The first names after `crate::` in a text, each with its line; comments are skipped.
fn named(text: &str) -> Vec<(usize, String)> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let ident = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate` of a macro is the same crate; a longer word is none.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push((line, ident(rest))),
            Some(group) => {
                let (mut depth, mut start) = (0, true);
                for (at, c) in group.char_indices() {
                    match c {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            found.push((line, ident(&group[at..])));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    // What the crate's root gives to all: its error, its result and its macro.
    found.retain(|(_, name)| !["Error", "Result", "shader"].contains(&name.as_str()));
    found
}

#[test]
fn names_are_found_in_any_form() {
    let text =
        "use crate::a::B; // crate::no\nuse crate::{c::D, e::{F, g}, Result};\nlet x = $crate::h::I + my_crate::no;";
    let found: Vec<(usize, String)> = [(1, "a"), (2, "c"), (2, "e"), (3, "h")].map(|(n, s)| (n, s.into())).into();
    assert_eq!(named(text), found);
}

#[test]
fn imports_run_one_way() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&source, &mut all);
    let mut wrong = Vec::new();
    for path in all {
        let inside = path.strip_prefix(&source).unwrap().to_string_lossy().replace('\\', "/");
        let from = inside.split('/').next().unwrap().trim_end_matches(".rs").to_string();
        if ["lib", "main"].contains(&from.as_str()) {
            continue;
        }
        assert!(rank(&from).is_some() || LEAVES.contains(&from.as_str()), "src/{inside}: `{from}` has no rank");
        for (line, to) in named(&fs::read_to_string(&path).unwrap()) {
            if !may(&from, &to) {
                wrong.push(format!("src/{inside}:{line}: {from} → {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the direction:\n{}", wrong.join("\n"));
}
