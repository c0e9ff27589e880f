//! CSV files of a folder, and the lines of a table: names of columns, numbers of features, texts of targets.

use crate::data::formats::missing::is_part;
use crate::data::formats::records::Records;
use crate::data::formats::table::{listed, number};
use crate::data::source::{Source, file_name};
use crate::error::{Error, Result};
use crate::suggest;
use std::fs;
use std::path::{Path, PathBuf};

/// The one CSV file in `folder` that has one of `parts` in its name.
pub(super) fn find(folder: &Path, parts: &[&str]) -> Result<PathBuf> {
    let shown = folder.display();
    let fault = |e: std::io::Error| Error::input(format!("data folder {shown} cannot be read: {e}"));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_file() && is_part(&file_name(&path), parts) {
            names.push(file_name(&path));
        }
    }
    names.sort();
    let wanted = format!("*{}*.csv", parts.join("*"));
    match &names[..] {
        [name] => Ok(folder.join(name)),
        [] => {
            let remedy = "from a file that is named itself, a fifth is held out for testing";
            Err(Error::input(format!("data folder {shown} has no file named like {wanted}: expected one; {remedy}")))
        }
        _ => {
            let found = names.join(", ");
            Err(Error::input(format!(
                "data folder {shown} has several files named like {wanted} ({found}): expected one"
            )))
        }
    }
}

/// A table that is open, with the names of its columns.
pub(super) struct Lines {
    path: PathBuf,
    records: Records,
    names: Vec<String>,
}

/// The content of one or two files.
#[derive(Default)]
pub(super) struct Rows {
    /// [rows, features].
    pub(super) features: Vec<f64>,
    /// [targets][rows].
    pub(super) targets: Vec<Vec<String>>,
    /// The file and the line of each row.
    lines: Vec<(usize, u64)>,
    files: Vec<PathBuf>,
}

impl Rows {
    pub(super) fn count(&self) -> usize {
        self.lines.len()
    }

    /// The error for a value of a row.
    pub(super) fn wrong(&self, row: usize, column: &str, found: &str, expected: &str) -> Error {
        let (file, line) = self.lines[row];
        wrong(&self.files[file], line, column, found, expected)
    }
}

fn wrong(path: &Path, line: u64, column: &str, found: &str, expected: &str) -> Error {
    let found: String = found.chars().take(20).collect();
    let found = if found.is_empty() { "nothing".into() } else { format!("'{}'", found.escape_debug()) };
    Error::input(format!("{}, line {line}, column {column}: found {found}, expected {expected}", path.display()))
}

impl Lines {
    /// Opens a file and reads the names of its columns, which a comma, a semicolon or a tab separates.
    ///
    /// # Errors
    /// [`Error::Input`] if it cannot be read, has no names in its first line, or one of them twice.
    pub(super) fn open(path: &Path) -> Result<Lines> {
        let shown = path.display();
        // A value takes two bytes of the file at least, and eight of memory, then four.
        let bytes = Source::open(path)?.bytes;
        crate::memory::check_free(bytes * 6, &format!("{shown}: its contents take"), "fewer samples may fit")?;
        let mut records = Records::open(path)?;
        let mut first = csv::StringRecord::new();
        let line = records.read_texts(&mut first)?.unwrap_or(1);
        let names: Vec<String> = first.iter().map(str::to_owned).collect();
        if names.is_empty() || names.iter().all(|name| name.is_empty() || number(name).is_some()) {
            let found = listed(&names);
            return Err(Error::input(format!(
                "{shown}, line {line}: found '{found}', expected the names of the columns"
            )));
        }
        if let Some(at) = (0..names.len()).find(|&at| names[at].is_empty() || names[..at].contains(&names[at])) {
            let found = if names[at].is_empty() { "no name".into() } else { format!("{} a second time", names[at]) };
            return Err(Error::input(format!(
                "{shown}, line {line}: found {found} in column {}, expected a name of its own",
                at + 1
            )));
        }
        Ok(Lines { path: path.into(), records, names })
    }

    /// The names of the columns.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Notices of guesses.
    pub(super) fn notice(&self) -> Option<String> {
        self.records.notice()
    }

    /// Adds all rows: these columns as numbers, and the targets as texts.
    ///
    /// # Errors
    /// [`Error::Input`] with the line and the column of what is not a number, for a line of another length, and for a column that
    /// there is not.
    pub(super) fn read(mut self, features: &[String], targets: &[String], into: &mut Rows) -> Result<()> {
        let shown = self.path.display();
        let place = |wanted: &String| {
            self.names.iter().position(|name| name == wanted).ok_or_else(|| {
                let hint = suggest::hint(wanted, self.names.iter().map(String::as_str));
                let found = listed(&self.names);
                Error::input(format!("{shown}: found the columns {found}, expected one named '{wanted}'{hint}"))
            })
        };
        let numbers: Vec<usize> = features.iter().map(place).collect::<Result<_>>()?;
        let texts: Vec<usize> = targets.iter().map(place).collect::<Result<_>>()?;
        into.files.push(self.path.clone());
        into.targets.resize(targets.len(), Vec::new());
        let file = into.files.len() - 1;
        let mut record = csv::StringRecord::new();
        while let Some(line) = self.records.read_texts(&mut record)? {
            for (&at, name) in numbers.iter().zip(features) {
                let found = &record[at];
                let left_out = || format!("a number; --ignore {name} leaves the column out");
                into.features.push(number(found).ok_or_else(|| wrong(&self.path, line, name, found, &left_out()))?);
            }
            texts.iter().zip(&mut into.targets).for_each(|(&at, column)| column.push(record[at].to_owned()));
            into.lines.push((file, line));
        }
        match into.lines.last() {
            Some((last, _)) if *last == file => Ok(()),
            _ => Err(Error::input(format!("{shown}: found no samples, expected a line for each after the names"))),
        }
    }
}
