//! The tree itself: formatting, repeated shader code, unsafe code, waiting, and the names in the guides.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

/// As many code lines in a row, equal in two shader files outside `shaders/lib/`, are refused.
const LONGEST: usize = 12;
/// A run of this many lines counts as repeated in the share that the test prints.
const REPEATED: usize = 6;
/// The folders whose Rust files are formatted.
const RUST: [&str; 5] = ["src", "tests", "examples", "benches", "fuzz"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files with an ending below a folder, with paths from the root of the repository; what was built is not among them.
fn files_below(folder: &str, ending: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let entries = root().join(&folder).read_dir().unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for entry in entries {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true if entry.file_name() == "target" => {}
                true => folders.push(path),
                false if path.extension().is_some_and(|found| found == ending) => {
                    found.insert(path.to_str().expect("UTF-8").replace('\\', "/"));
                }
                false => {}
            }
        }
    }
    found
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Those of the files that rustfmt would change; `None` if there is no rustfmt. Files that are given by name are
/// seen even where they are declared inside a macro, which `cargo fmt` does not look into.
fn unformatted(files: &[PathBuf]) -> Option<BTreeSet<PathBuf>> {
    if !Command::new("rustfmt").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("rustfmt is not installed (rustup component add rustfmt): formatting is not checked");
        return None;
    }
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--check", "--files-with-diff", "--edition", "2024", "--config-path"]).arg(root());
    let output = rustfmt.args(files).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(err.is_empty(), "rustfmt: {err}");
    assert_eq!(output.status.success(), out.is_empty(), "rustfmt: {out}");
    Some(out.lines().map(PathBuf::from).collect())
}

#[test]
fn every_rust_file_is_formatted() {
    let files: Vec<PathBuf> =
        RUST.iter().flat_map(|folder| files_below(folder, "rs")).map(|file| root().join(file)).collect();
    assert!(files.len() > 200, "{} files", files.len());
    if let Some(found) = unformatted(&files) {
        assert!(found.is_empty(), "not formatted; rustfmt --edition 2024 FILE formats a file: {found:#?}");
    }
}

#[test]
fn a_file_that_is_not_formatted_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["good.rs", "bad.rs"].map(|name| folder.path().canonicalize().unwrap().join(name));
    std::fs::write(&files[0], "fn good() {}\n").unwrap();
    std::fs::write(&files[1], "fn bad( ) { }\n").unwrap();
    if let Some(found) = unformatted(&files) {
        assert_eq!(found, BTreeSet::from([files[1].clone()]));
    }
}

/// The code lines of a shader, trimmed, without comments and blank lines.
fn code(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).collect()
}

/// The runs of equal lines that two texts have in common: the ends of each in both, and its length. None is part of a
/// longer one.
fn common_runs(a: &[&str], b: &[&str]) -> Vec<(usize, usize, usize)> {
    let mut runs = Vec::new();
    // Lengths of the runs that end at the previous line of `a`, by the line of `b` after theirs.
    let mut before = vec![0; b.len() + 1];
    for i in 0..=a.len() {
        let mut here = vec![0; b.len() + 1];
        for j in 0..=b.len() {
            let same = i < a.len() && j < b.len() && a[i] == b[j];
            match same {
                true => here[j + 1] = before[j] + 1,
                false if before[j] > 0 => runs.push((i, j, before[j])),
                false => {}
            }
        }
        before = here;
    }
    runs
}

#[test]
fn common_runs_are_found_whole() {
    assert_eq!(common_runs(&["x", "a", "b", "c"], &["a", "b", "y", "c"]), [(3, 2, 2), (4, 4, 1)]);
    assert_eq!(common_runs(&["a", "b"], &["a", "b"]), [(2, 2, 2)]);
    assert_eq!(common_runs(&["a", "a"], &["a"]), [(1, 1, 1), (2, 1, 1)]);
    assert_eq!(code("// formula\n\n  let x = 1;\n//: for i in 0..2\n"), ["let x = 1;"]);
}

#[test]
fn shaders_share_code_through_the_library() {
    let files: Vec<String> = files_below("shaders", "wgsl").into_iter().filter(|f| !f.contains("/lib/")).collect();
    let texts: Vec<String> = files.iter().map(|file| read(file)).collect();
    let lines: Vec<Vec<&str>> = texts.iter().map(|text| code(text)).collect();
    let mut repeated: Vec<Vec<bool>> = lines.iter().map(|lines| vec![false; lines.len()]).collect();
    let (mut longest, mut offending) = (0, BTreeMap::new());
    for a in 0..files.len() {
        for b in a + 1..files.len() {
            for (end_a, end_b, run) in common_runs(&lines[a], &lines[b]) {
                longest = longest.max(run);
                if run >= REPEATED {
                    repeated[a][end_a - run..end_a].fill(true);
                    repeated[b][end_b - run..end_b].fill(true);
                }
                if run >= LONGEST {
                    let first = lines[a][end_a - run];
                    offending.insert((files[a].clone(), files[b].clone()), format!("{run} lines from `{first}`"));
                }
            }
        }
    }
    let all: usize = lines.iter().map(Vec::len).sum();
    let twice = repeated.iter().flatten().filter(|twice| **twice).count();
    let share = 100.0 * twice as f64 / all as f64;
    println!(
        "{twice} of {all} code lines of shaders ({share:.1} %) stand in another file, in runs of {REPEATED} or more"
    );
    println!("the longest run has {longest} lines");
    assert!(
        offending.is_empty(),
        "{LONGEST} or more lines in common; what shaders share stands once, in shaders/lib/, and is taken in by \
         `//: use NAME`: {offending:#?}"
    );
}

/// The part of a file that is no test.
fn product(file: &str) -> String {
    let text = read(file);
    text.split("#[cfg(test)]").next().unwrap_or_default().to_string()
}

#[test]
fn unsafe_code_stands_in_one_file() {
    let allows = |file: &String| read(file).contains("allow(unsafe_code)");
    let found: Vec<String> = files_below("src", "rs").into_iter().filter(allows).collect();
    assert_eq!(found, ["src/sys.rs"]);
    assert!(read("src/lib.rs").contains("#![deny(unsafe_code)]"));
}

/// Blocking calls in the core: wgpu's error scopes, which are ready when they are polled, the calls that run on the CPU
/// alone or check a device, and the server's own thread. A training step waits nowhere.
const WAITS: [&str; 8] = [
    "src/device/gpu/cache.rs",
    "src/device/gpu/executor.rs",
    "src/device/gpu/pipelines.rs",
    "src/train/predict.rs",
    "src/verify/mod.rs",
    "src/verify/models.rs",
    "src/verify/trace.rs",
    "src/watch/server.rs",
];

#[test]
fn the_core_waits_with_async() {
    let waits = |file: &String| {
        let own = !file.starts_with("src/cli/") && !file.ends_with("/tests.rs");
        own && product(file).lines().any(|line| line.contains("block_on") && !line.trim_start().starts_with("//"))
    };
    let found: Vec<String> = files_below("src", "rs").into_iter().filter(waits).collect();
    assert_eq!(found, WAITS, "the files outside src/cli that block");
}

/// Code that creates or renames files directly: the writer, and the second name that a checkpoint gets.
const WRITERS: [&str; 2] = ["src/files.rs", "src/train/run/files.rs"];

#[test]
fn files_are_written_in_one_place() {
    let calls = ["File::create", "fs::write(", "fs::rename(", ".persist("];
    let writes = |file: &String| !file.ends_with("/tests.rs") && calls.iter().any(|call| product(file).contains(call));
    let found: Vec<String> = files_below("src", "rs").into_iter().filter(writes).collect();
    assert_eq!(found, WRITERS, "wgrad::files writes a file whole or not at all");
}

/// The files that open a file to read by the system's own calls: folders, and what the system itself makes.
const READERS: [&str; 5] = [
    "src/bench/first_step.rs",
    "src/files.rs",
    "src/train/run/files.rs",
    "src/verify/report.rs",
    "src/watch/clients.rs",
];

#[test]
fn files_are_opened_in_one_place() {
    let calls = ["File::open(", "fs::read(", "fs::read_to_string(", "ImageReader::open("];
    let reads = |file: &String| !file.ends_with("/tests.rs") && calls.iter().any(|call| product(file).contains(call));
    let found: Vec<String> = files_below("src", "rs").into_iter().filter(reads).collect();
    assert_eq!(found, READERS, "wgrad::files opens regular files alone");
}

/// Pieces of text between back ticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The tests that a text names as `FILE::TEST`.
fn tests_named(text: &str) -> Vec<(&str, &str)> {
    let pairs = quoted(text).filter_map(|name| name.split_once("::"));
    pairs.filter(|(file, _)| file.ends_with(".rs")).collect()
}

/// The names of the tests in a file: functions with the attribute, doc comments between aside.
fn tests_in(text: &str) -> BTreeSet<&str> {
    let mut lines = text.lines().map(str::trim);
    let mut names = BTreeSet::new();
    while let Some(line) = lines.next() {
        if line == "#[test]" {
            let rest = lines.by_ref().find_map(|line| line.strip_prefix("fn ")).unwrap_or_default();
            names.insert(rest.split('(').next().unwrap_or_default());
        }
    }
    names
}

#[test]
fn what_the_guides_name_is_there() {
    let mut texts: HashMap<&str, String> = HashMap::new();
    for guide in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read(guide);
        // Fenced blocks are drawings and commands.
        let prose: String = text.split("```").step_by(2).collect();
        for (file, test) in tests_named(&prose) {
            let known = texts.entry(file.to_string().leak()).or_insert_with(|| read(file));
            assert!(tests_in(known).contains(test), "{guide}: {file} has no test {test}");
        }
        for path in quoted(&prose).filter(|path| !path.contains("::")) {
            let folder = path.split('/').next().unwrap_or_default();
            let is_path =
                path.contains('/') && (RUST.contains(&folder) || ["shaders", "docs", ".ci"].contains(&folder));
            // A placeholder is written in capitals or angle brackets, as in `src/ops/FAMILY/OP.rs`.
            let pattern = path.contains(['<', '*', ' ', '…']) || path.split(['/', '.']).any(is_placeholder);
            assert!(!is_path || pattern || root().join(path).exists(), "{guide}: there is no {path}");
        }
    }
}

fn is_placeholder(part: &str) -> bool {
    part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[test]
fn every_invariant_names_the_test_that_holds_it() {
    let text = read("ARCHITECTURE.md");
    let section = text.split("\n## ").find(|section| section.starts_with("Invariants")).expect("a section Invariants");
    let mut items: Vec<String> = Vec::new();
    for line in section.lines() {
        let number = line.split_once(". ").filter(|(number, _)| number.parse::<usize>().is_ok());
        match (number, items.last_mut()) {
            (Some(_), _) => items.push(line.to_string()),
            (None, Some(item)) => *item += line,
            (None, None) => {}
        }
    }
    assert!(items.len() >= 16, "{} invariants", items.len());
    for (i, item) in items.iter().enumerate() {
        assert!(item.starts_with(&format!("{}. ", i + 1)), "numbered in order: {item}");
        assert!(!tests_named(item).is_empty(), "an invariant without a test: {item}");
    }
}
