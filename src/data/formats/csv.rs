//! CSV: a line for each sample with its label and its pixels, 0–255, row by row, optionally after a line of names.
//! Where targets are named it is a [table]; where it lists files, pictures are read.

use crate::counted::counted;
use crate::data::formats::Format;
use crate::data::formats::held_out::{held_out, one_of};
use crate::data::formats::lines::find;
use crate::data::formats::missing::{CSV, is_csv};
use crate::data::formats::parts;
use crate::data::formats::records::Records;
use crate::data::formats::{table, texts};
use crate::data::source::{Source, file_name};
use crate::data::split::Labels;
use crate::data::{Dataset, MOST_CLASSES, ReadOptions, Split};
use crate::error::{Error, Result};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// The format's line in the registry.
pub(super) const FORMAT: Format = Format { name: CSV.0, by: CSV.1, recognise: is_csv, read: read_any };

/// The samples of a file: height, width and channels, pixels, and the label of each as a number into `names`.
struct Table {
    shape: [usize; 3],
    pixels: Vec<u8>,
    labels: Vec<usize>,
    names: Vec<String>,
    /// Notices of guesses.
    notices: Vec<String>,
}

/// A table where targets are named, else images.
fn read_any(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    if let Some(text) = options.text.column {
        return match path.is_file() {
            true => texts::read_csv(path, [path, path], text, options),
            false => texts::read_csv(path, [&find(path, &["train"])?, &find_test(path)?], text, options),
        };
    }
    #[cfg(feature = "images")]
    if let Some(data) = listed(path, options)? {
        return Ok(data);
    }
    if options.targets.is_empty() {
        return read_images(path, options);
    }
    if path.is_file() {
        return table::read(file_name(path), path, None, options);
    }
    let [train, test] = [find(path, &["train"])?, find_test(path)?];
    table::read(file_name(path), &train, Some(&test), options)
}

/// The file of tests, or where there is none the one to validate on.
fn find_test(folder: &Path) -> Result<PathBuf> {
    let validation = || parts::file(folder, parts::VALIDATION, "csv");
    find(folder, &["test"]).or_else(|error| validation().ok_or(error))
}

/// The data set of a list of files, or of two.
#[cfg(feature = "images")]
pub(super) fn listed(path: &Path, options: &ReadOptions) -> Result<Option<Dataset>> {
    let parts = if path.is_file() { [None, None] } else { [find(path, &["train"]).ok(), find_test(path).ok()] };
    let train = if path.is_file() { Some(path) } else { parts[0].as_deref() };
    crate::data::formats::listed::read(path, [train, parts[1].as_deref()], options)
}

/// Reads a file, of which a fifth of each class is held out for testing, or the two files of a folder. Images are square and
/// grey; `size` = [height, width] says otherwise, and three times as many pixels are red, green and blue in turn.
///
/// # Errors
/// [`Error::Input`] that names the file and the line, where a value is no whole number of 0 to 255, lines differ in
/// length, or the pixels make no picture.
pub fn read(path: &Path, size: Option<[usize; 2]>) -> Result<Dataset> {
    read_images(path, &ReadOptions { size, ..ReadOptions::default() })
}

fn read_images(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    let size = options.size;
    if path.is_file() {
        let table = table(path, size)?;
        let (classes, mut labels) = classes(path, &[&table], options.class_names)?;
        let labels = labels.remove(0);
        let image = table.shape.iter().product::<usize>();
        // By the pixels, so that the same picture twice goes to one part, and lines may change places.
        let key = |n: usize| (crc32fast::hash(&table.pixels[n * image..(n + 1) * image]), n);
        let kept = if options.train_alone { one_of(labels.len()) } else { held_out(&labels, key) };
        let part = |kept_part: bool| {
            let all = if kept_part { options.tests_alone } else { options.train_alone };
            let rows: Vec<usize> = (0..kept.len()).filter(|&n| all || kept[n] == kept_part).collect();
            let pixels = rows.iter().flat_map(|n| &table.pixels[n * image..(n + 1) * image]).copied().collect();
            let labels = Labels::narrow(rows.iter().map(|&n| labels[n]).collect());
            Split::narrow(table.shape, pixels, labels, &[]).map_err(|_| {
                let found = labels_found(&table);
                Error::input(format!(
                    "{}: {found}, expected at least two of a class, to hold one out for testing",
                    path.display()
                ))
            })
        };
        let mut data = Dataset::new(file_name(path), part(false)?, part(true)?)?;
        let file = path.display();
        let alone = format!("{file} has no test part: one sample in 5 of each class is held out for testing");
        let whole = format!("{file} has no test part: all of it is evaluated");
        let notice = if options.tests_alone { whole } else { alone };
        let notice = Some(notice).filter(|_| !options.train_alone);
        classes.name(&mut data, notice.into_iter().chain(table.notices));
        data.held_out = true;
        return Ok(data);
    }
    let paths = [find(path, &["train"])?, find_test(path)?];
    let [train, test] = [table(&paths[0], size)?, table(&paths[1], size)?];
    let (classes, labels) = classes(path, &[&train, &test], options.class_names)?;
    let notices: Vec<String> = train.notices.iter().chain(&test.notices).cloned().collect();
    let mut parts = [train, test].into_iter().zip(labels);
    let mut split = || {
        let (table, labels) = parts.next().unwrap_or_else(|| unreachable!("two tables"));
        Split::narrow(table.shape, table.pixels, Labels::narrow(labels), &[])
    };
    let (train, test) = (split()?, split()?);
    let mut data = Dataset::new(file_name(path), train, test)?;
    classes.name(&mut data, notices.into_iter());
    Ok(data)
}

fn labels_found(table: &Table) -> String {
    format!("found {}", counted(table.labels.len(), "sample"))
}

/// The description of the labels of a data set.
enum Classes {
    /// Numbers from 0.
    Numbers,
    /// Numbers from 1, or names: the classes are these.
    Named(Vec<String>, &'static str),
    /// Those of a model or of other data.
    Known(Vec<String>),
}

impl Classes {
    /// Gives the data set its classes, and a notice of guesses for the user.
    fn name(self, data: &mut Dataset, notices: impl Iterator<Item = String>) {
        let mut notices: Vec<String> = notices.collect();
        if let Classes::Named(names, what) = &self {
            notices.push(format!(
                "the labels are {what}: {} classes, {} to {}",
                names.len(),
                names[0],
                names[names.len() - 1]
            ));
        }
        if let Classes::Named(names, _) | Classes::Known(names) = self {
            (data.classes, data.class_names) = (names.len(), names);
        }
        data.note(notices);
    }
}

/// The classes of these tables, and the class of each sample of each of them. Labels that are numbers are classes as they are,
/// unless they are counted from 1; of others each is a class, in the order of the alphabet. Where all are `known`, those are the
/// classes.
///
/// # Errors
/// [`Error::Input`] if some labels are numbers and some are not, and if there is one class or too many.
fn classes(path: &Path, tables: &[&Table], known: &[String]) -> Result<(Classes, Vec<Vec<u16>>)> {
    let shown = path.display();
    let all: BTreeSet<&str> = tables.iter().flat_map(|table| &table.names).map(String::as_str).collect();
    let numbers: BTreeSet<usize> = all.iter().filter_map(|name| number(name.as_bytes()).map(|n| n as usize)).collect();
    let are_known = !known.is_empty() && all.iter().all(|name| known.iter().any(|other| other == name));
    let (classes, names): (Classes, Vec<String>) = match numbers.last() {
        _ if are_known => (Classes::Known(known.to_vec()), known.to_vec()),
        Some(&last) if numbers.len() == all.len() => match !numbers.contains(&0) && numbers.len() == last && last > 1 {
            true => {
                let names: Vec<String> = numbers.iter().map(usize::to_string).collect();
                (Classes::Named(names.clone(), "counted from 1"), names)
            }
            false => (Classes::Numbers, (0..=last).map(|n| n.to_string()).collect()),
        },
        None => {
            let names: Vec<String> = all.iter().map(|name| (*name).to_owned()).collect();
            (Classes::Named(names.clone(), "names"), names)
        }
        Some(some) => {
            let other = all.iter().find(|name| number(name.as_bytes()).is_none()).copied().unwrap_or_default();
            return Err(Error::input(format!(
                "{shown}: found the labels {some} and '{}', expected all of them to be numbers, or none",
                other.escape_debug()
            )));
        }
    };
    if !(2..=MOST_CLASSES).contains(&names.len()) && !matches!(classes, Classes::Numbers) {
        let found = names.len();
        return Err(Error::input(format!(
            "{shown}: found {found} classes in the labels, expected 2 to {MOST_CLASSES}"
        )));
    }
    // Two spellings of one number (1 and 01) are one class.
    let place = |name: &String| match number(name.as_bytes()) {
        Some(n) => names.iter().position(|other| number(other.as_bytes()) == Some(n)),
        None => names.iter().position(|other| other == name),
    };
    let of = |table: &&Table| {
        let places: Vec<u16> = table.names.iter().map(|name| place(name).unwrap_or(0) as u16).collect();
        table.labels.iter().map(|&label| places[label]).collect()
    };
    Ok((classes, tables.iter().map(of).collect()))
}

/// One file: images [count, height, width, channels] and their labels.
///
/// # Errors
/// As [`read`].
pub fn read_split(path: &Path, size: Option<[usize; 2]>) -> Result<Split> {
    let table = table(path, size)?;
    let (_, mut labels) = classes(path, &[&table], &[])?;
    Split::narrow(table.shape, table.pixels, Labels::narrow(labels.remove(0)), &[])
}

fn table(path: &Path, size: Option<[usize; 2]>) -> Result<Table> {
    let shown = path.display();
    // A value takes two bytes of the file at least, and one of memory.
    let bytes = Source::open(path)?.bytes;
    crate::memory::check_free(bytes / 2, &format!("{shown}: its contents take"), "fewer samples may fit")?;
    let table = table_by(path, size, Column::First)?;
    // Without names in the first line, a column of labels has few numbers, and hardly one is left out.
    let numbers: BTreeSet<u32> = table.names.iter().filter_map(|name| number(name.as_bytes())).collect();
    let sparse = numbers.last().is_some_and(|last| *last > 1 && numbers.len() * 4 <= (*last as usize + 1) * 3);
    if sparse && !table.notices.iter().any(|notice| notice.ends_with(NAMED)) {
        let last = table_by(path, size, Column::Last).ok().filter(|other| {
            let numbers: BTreeSet<u32> = other.names.iter().filter_map(|name| number(name.as_bytes())).collect();
            let most = numbers.last().map_or(0, |last| *last as usize);
            numbers.len() == other.names.len()
                && most >= 1
                && numbers.len() >= most
                && table.names.len() > 20
                && other.names.len() * 3 <= table.names.len()
        });
        return match last {
            Some(mut other) => {
                other.notices.push(format!(
                    "{shown}: the labels are read from the last column ({} classes), since the first column does not look like labels; \
                     to choose, name the column label in a first line of names",
                    other.names.len()
                ));
                Ok(other)
            }
            None => {
                let (found, classes) = (numbers.len(), numbers.last().map_or(0, |last| last + 1));
                let mut table = table;
                table.notices.push(format!(
                    "{shown}: of the {classes} classes of the labels, which are in column 1, {} have no sample",
                    classes as usize - found
                ));
                Ok(table)
            }
        };
    }
    Ok(table)
}

/// The column of the labels, if there are no names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    First,
    Last,
}

/// How the notice of a table ends whose first line names the column of labels.
const NAMED: &str = "has the labels";

fn table_by(path: &Path, size: Option<[usize; 2]>, by: Column) -> Result<Table> {
    let shown = path.display();
    let mut records = Records::open(path)?;
    let mut record = csv::ByteRecord::new();
    let (mut pixels, mut labels, mut columns, mut named) = (Vec::new(), Vec::new(), 0, false);
    let (mut known, mut notices) = (HashMap::<String, usize>::new(), Vec::from_iter(records.notice()));
    let mut at = 0;
    while let Some(line) = records.read(&mut record)? {
        let first = columns == 0;
        columns = record.len();
        if first {
            at = if by == Column::First { 0 } else { columns.saturating_sub(1) };
            // In the first line a text in the label's place alone is a label.
            if record.iter().enumerate().any(|(column, field)| column != at && is_name(field)) {
                at = heading(path, &record)?;
                named = true;
                if at > 0 {
                    notices.push(format!("{shown}: column {} of {columns} {NAMED}", at + 1));
                }
                continue;
            }
        }
        for (column, field) in record.iter().enumerate() {
            let text = || String::from_utf8_lossy(field).chars().take(20).collect::<String>();
            let wrong = |what: &str| {
                let place = format!("line {line}, column {}", column + 1);
                let table = if named { "; --target COLUMN reads a table of numbers" } else { "" };
                Error::input(format!("{shown}, {place}: found '{}', expected {what}{table}", text().escape_debug()))
            };
            if column == at {
                let name = std::str::from_utf8(field).ok().filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| wrong("a label: a number or a name"))?;
                let name = whole(name).map_or_else(|| name.to_owned(), |n| n.to_string());
                if number(name.as_bytes()).is_some_and(|n| n as usize >= MOST_CLASSES) || is_numeric(&name) {
                    let most = MOST_CLASSES - 1;
                    return Err(wrong(&format!("a label: a whole number of 0 to {most}, or a name")));
                }
                let next = known.len();
                labels.push(*known.entry(name).or_insert(next));
            } else {
                let value = std::str::from_utf8(field).ok().and_then(whole).filter(|value| *value <= 255);
                pixels.push(value.ok_or_else(|| wrong("a pixel: a whole number of 0 to 255"))? as u8);
            }
        }
    }
    if labels.is_empty() {
        return Err(Error::input(format!("{shown}: found no samples, expected lines of a label and its pixels")));
    }
    let mut names: Vec<(usize, String)> = known.into_iter().map(|(name, at)| (at, name)).collect();
    names.sort_unstable();
    let names = names.into_iter().map(|(_, name)| name).collect();
    Ok(Table { shape: shape(path, columns - 1, size)?, pixels, labels, names, notices })
}

/// A whole number, also as 8.0.
fn whole(text: &str) -> Option<u32> {
    let (digits, zeros) = text.split_once('.').unwrap_or((text, ""));
    zeros.bytes().all(|byte| byte == b'0').then(|| number(digits.as_bytes())).flatten()
}

/// Whether a label that is not a class's number is a number all the same: -1, 0.5, 70000.
fn is_numeric(name: &str) -> bool {
    number(name.as_bytes()).is_none() && name.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Whether a field of the first line is a column's name; what is almost a number is a mistake.
fn is_name(field: &[u8]) -> bool {
    field.first().is_some_and(u8::is_ascii_alphabetic)
}

/// The column of the labels, by the names of the columns; the first if no name says so.
fn heading(path: &Path, names: &csv::ByteRecord) -> Result<usize> {
    let shown = path.display();
    let label =
        |name: &[u8]| ["label", "class", "target"].iter().any(|word| name.eq_ignore_ascii_case(word.as_bytes()));
    let pixel = |name: &[u8]| name.to_ascii_lowercase().starts_with(b"pixel");
    match (names.iter().position(label), names.iter().next().is_some_and(pixel)) {
        (Some(at), _) => Ok(at),
        (None, true) => {
            let expected = "expected labels there, or a column named label";
            Err(Error::input(format!("{shown}: found pixels in column 1, {expected}")))
        }
        (None, false) => Ok(0),
    }
}

/// One to five digits.
fn number(field: &[u8]) -> Option<u32> {
    match field.len() {
        1..=5 if field.iter().all(u8::is_ascii_digit) => std::str::from_utf8(field).ok()?.parse().ok(),
        _ => None,
    }
}

/// Height, width and channels of a line's pixels.
fn shape(path: &Path, pixels: usize, size: Option<[usize; 2]>) -> Result<[usize; 3]> {
    let shown = path.display();
    match size {
        Some([height, width]) => match height.checked_mul(width) {
            Some(plane) if plane > 0 && pixels == plane => Ok([height, width, 1]),
            Some(plane) if plane > 0 && plane.checked_mul(3) == Some(pixels) => Ok([height, width, 3]),
            _ => Err(Error::input(format!(
                "{shown}: found {pixels} pixels per line, expected {height}×{width} or three times as many"
            ))),
        },
        None => match pixels.isqrt() {
            side if side > 0 && side * side == pixels => Ok([side, side, 1]),
            _ => Err(Error::input(format!(
                "{shown}: found {pixels} pixels per line, expected a square number, or a size (--image-size 48x64)"
            ))),
        },
    }
}
