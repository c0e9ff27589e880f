//! CSV: a line for each sample, its label and then its pixels, 0–255, row by row; a first line of names may come before.
//! Where targets are named it is a [table].

use crate::data::formats::Format;
use crate::data::formats::held_out::held_out;
use crate::data::formats::missing::{CSV, is_csv, is_part};
use crate::data::formats::table;
use crate::data::source::{Source, file_name};
use crate::data::split::Labels;
use crate::data::{Dataset, MOST_CLASSES, ReadOptions, Split};
use crate::error::{Error, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The format's line in the registry.
pub(super) const FORMAT: Format = Format { name: CSV.0, by: CSV.1, recognise: is_csv, read: read_any };

/// The samples of a file: height, width and channels, pixels and labels.
struct Table {
    shape: [usize; 3],
    pixels: Vec<u8>,
    labels: Vec<u16>,
}

/// A table where targets are named, else images.
fn read_any(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    if options.targets.is_empty() {
        return read(path, options.size);
    }
    if path.is_file() {
        return table::read(file_name(path), path, None, options);
    }
    let [train, test] = [find(path, &["train"])?, find(path, &["test"])?];
    table::read(file_name(path), &train, Some(&test), options)
}

/// Reads a file, of which a fifth of each class is kept for tests, or the two files of a folder. Images are square and
/// grey; `size` = [height, width] says otherwise, and three times as many pixels are red, green and blue in turn.
///
/// # Errors
/// [`Error::Input`] that names the file and the line, where a value is no whole number of 0 to 255, lines differ in
/// length, or the pixels make no picture.
pub fn read(path: &Path, size: Option<[usize; 2]>) -> Result<Dataset> {
    if path.is_file() {
        let table = table(path, size)?;
        let image = table.shape.iter().product::<usize>();
        // By the pixels, so that the same picture twice goes to one part, and lines may change places.
        let key = |n: usize| (crc32fast::hash(&table.pixels[n * image..(n + 1) * image]), n);
        let kept = held_out(&table.labels, key);
        let part = |kept_part: bool| {
            let rows: Vec<usize> = (0..kept.len()).filter(|&n| kept[n] == kept_part).collect();
            let pixels = rows.iter().flat_map(|n| &table.pixels[n * image..(n + 1) * image]).copied().collect();
            let labels = Labels::narrow(rows.iter().map(|&n| table.labels[n]).collect());
            Split::narrow(table.shape, pixels, labels, &[]).map_err(|_| {
                let found = table.labels.len();
                Error::input(format!(
                    "{}: found {found} samples, expected two of a class to keep one for tests",
                    path.display()
                ))
            })
        };
        let mut data = Dataset::new(file_name(path), part(false)?, part(true)?)?;
        let file = path.display();
        data.notice = Some(format!("{file} alone has no tests: one sample in 5 of each class is kept for them"));
        return Ok(data);
    }
    let [train, test] = [find(path, &["train"])?, find(path, &["test"])?];
    let [train, test] = [table(&train, size)?, table(&test, size)?];
    let split = |table: Table| Split::narrow(table.shape, table.pixels, Labels::narrow(table.labels), &[]);
    Dataset::new(file_name(path), split(train)?, split(test)?)
}

/// The one CSV file in `folder` that has one of `parts` in its name.
fn find(folder: &Path, parts: &[&str]) -> Result<PathBuf> {
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
            let remedy = "of a file that is given itself, a fifth is kept for tests";
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

/// One file: images [count, height, width, channels] and their labels.
///
/// # Errors
/// As [`read`].
pub fn read_split(path: &Path, size: Option<[usize; 2]>) -> Result<Split> {
    let Table { shape, pixels, labels } = table(path, size)?;
    Split::narrow(shape, pixels, Labels::narrow(labels), &[])
}

fn table(path: &Path, size: Option<[usize; 2]>) -> Result<Table> {
    let shown = path.display();
    // A value takes two bytes of the file at least, and one of memory.
    let bytes = Source::open(path)?.bytes;
    crate::device::cpu::check_free(bytes / 2, &format!("{shown}: its contents take"), "fewer samples may fit")?;
    let file = File::open(path).map_err(|e| Error::input(format!("{shown} cannot be read: {e}")))?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(file);
    let mut record = csv::ByteRecord::new();
    let (mut pixels, mut labels, mut columns, mut named) = (Vec::new(), Vec::new(), 0, false);
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(e) => return Err(Error::input(format!("{shown}: {e}"))),
        }
        let line = record.position().map_or(0, csv::Position::line);
        let first = columns == 0;
        columns = record.len();
        if first && record.iter().any(is_name) {
            heading(path, &record)?;
            named = true;
            continue;
        }
        for (column, field) in record.iter().enumerate() {
            let (what, most) = if column == 0 { ("label", MOST_CLASSES - 1) } else { ("pixel", 255) };
            let value = number(field).filter(|value| *value as usize <= most).ok_or_else(|| {
                let found = String::from_utf8_lossy(field).chars().take(20).collect::<String>();
                let place = format!("line {line}, column {}", column + 1);
                let table = if named { "; --target COLUMN reads a table of numbers" } else { "" };
                Error::input(format!(
                    "{shown}, {place}: found '{found}', expected a {what}: a whole number of 0 to {most}{table}"
                ))
            })?;
            match column {
                0 => labels.push(value as u16),
                _ => pixels.push(value as u8),
            }
        }
    }
    if labels.is_empty() {
        return Err(Error::input(format!("{shown}: found no samples, expected lines of a label and its pixels")));
    }
    Ok(Table { shape: shape(path, columns - 1, size)?, pixels, labels })
}

/// Whether a field of the first line is a column's name; what is almost a number is a mistake.
fn is_name(field: &[u8]) -> bool {
    field.first().is_some_and(u8::is_ascii_alphabetic)
}

/// The names of the columns, of which the first is the label's.
fn heading(path: &Path, names: &csv::ByteRecord) -> Result<()> {
    let shown = path.display();
    let label =
        |name: &[u8]| ["label", "class", "target"].iter().any(|word| name.eq_ignore_ascii_case(word.as_bytes()));
    let pixel = |name: &[u8]| name.to_ascii_lowercase().starts_with(b"pixel");
    match (names.iter().position(label), names.iter().next().is_some_and(pixel)) {
        (None, true) => Err(Error::input(format!("{shown}: found pixels in column 1, expected labels"))),
        (Some(at @ 1..), _) => {
            Err(Error::input(format!("{shown}: found labels in column {}, expected column 1", at + 1)))
        }
        _ => Ok(()),
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
                "{shown}: found {pixels} pixels a line, expected {height}×{width} or three times as many"
            ))),
        },
        None => match pixels.isqrt() {
            side if side > 0 && side * side == pixels => Ok([side, side, 1]),
            _ => Err(Error::input(format!(
                "{shown}: found {pixels} pixels a line, expected a square number, or a size (--image-size 48x64)"
            ))),
        },
    }
}
