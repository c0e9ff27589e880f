//! The records of a CSV file: the separator is guessed from the first line, and each record knows the number of its line.

use crate::counted::{counted, human_bytes};
use crate::error::{Error, Result};
use crate::files;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The most bytes that are looked at for the separator.
const FIRST_LINE_BYTES: u64 = 1 << 20;

/// The most bytes of a record: a quote without its end, or a file without line ends, would be held whole.
const LARGEST_RECORD_BYTES: u64 = 64 << 20;

/// A file of which a limited number of bytes is read before the next record begins.
struct Bounded {
    file: File,
    left: u64,
}

impl io::Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let most = human_bytes(LARGEST_RECORD_BYTES);
            return Err(io::Error::other(format!("found a line of more than {most}, expected shorter ones")));
        }
        let count = self.file.read(into)?;
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

/// A CSV file that is open.
pub(super) struct Records {
    path: PathBuf,
    reader: csv::Reader<Bounded>,
    lines: LineNumbers,
    separator: u8,
}

impl Records {
    /// Opens a file whose columns a comma, a semicolon or a tab separates. A line of names is a record like the others.
    ///
    /// # Errors
    /// [`Error::Input`] if it cannot be read.
    pub(super) fn open(path: &Path) -> Result<Records> {
        let fault = |e: io::Error| unreadable(path, &e);
        let separator = separator(path).map_err(fault)?;
        let open = || files::open(path).map_err(fault);
        let lines = LineNumbers { file: BufReader::new(open()?), at: 0, line: 1, returned: false };
        let mut format = csv::ReaderBuilder::new();
        let reader = format
            .has_headers(false)
            .delimiter(separator)
            .trim(csv::Trim::All)
            .from_reader(Bounded { file: open()?, left: LARGEST_RECORD_BYTES });
        Ok(Records { path: path.into(), reader, lines, separator })
    }

    /// A separator that was guessed, in words; none for a comma.
    pub(super) fn notice(&self) -> Option<String> {
        let name = match self.separator {
            b';' => "semicolons",
            b'\t' => "tabs",
            _ => return None,
        };
        Some(format!("{}: {name} separate the columns", self.path.display()))
    }

    /// Reads the next record, and returns the number of its line, counted from 1; `None` at the file's end.
    ///
    /// # Errors
    /// [`Error::Input`] if the file cannot be read, or if the record has another number of columns than the first.
    pub(super) fn read(&mut self, record: &mut csv::ByteRecord) -> Result<Option<u64>> {
        let fault = |e: io::Error| unreadable(&self.path, &e);
        self.reader.get_mut().left = LARGEST_RECORD_BYTES;
        let found = self.reader.read_byte_record(record);
        let (start, wrong) = match found.map_err(csv::Error::into_kind) {
            Ok(false) => return Ok(None),
            Ok(true) => (record.position().cloned(), None),
            Err(csv::ErrorKind::UnequalLengths { pos, len, expected_len }) => (
                pos,
                Some(format!(
                    "found {}, expected {expected_len} as in the first line",
                    counted(len as usize, "column")
                )),
            ),
            Err(csv::ErrorKind::Io(e)) => return Err(fault(e)),
            Err(other) => return Err(Error::input(format!("{} cannot be read: {other:?}", self.path.display()))),
        };
        let line = self.lines.of(start.map_or(0, |start| start.byte())).map_err(fault)?;
        match wrong {
            Some(wrong) => Err(Error::input(format!("{}, line {line}: {wrong}", self.path.display()))),
            None => Ok(Some(line)),
        }
    }

    /// As [`Records::read`], for records that are texts.
    ///
    /// # Errors
    /// Also [`Error::Input`] if a record is not UTF-8.
    pub(super) fn read_texts(&mut self, texts: &mut csv::StringRecord) -> Result<Option<u64>> {
        let mut record = std::mem::take(texts).into_byte_record();
        let Some(line) = self.read(&mut record)? else { return Ok(None) };
        *texts = csv::StringRecord::from_byte_record(record).map_err(|e| {
            let column = e.utf8_error().field() + 1;
            let found = "found bytes that are not UTF-8, expected a text in UTF-8";
            Error::input(format!("{}, line {line}, column {column}: {found}", self.path.display()))
        })?;
        texts.trim();
        Ok(Some(line))
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::input(format!("{} cannot be read: {error}", path.display()))
}

/// The separator of a file's columns: a comma, a semicolon or a tab, whichever its first line has most of.
fn separator(path: &Path) -> io::Result<u8> {
    let mut first = Vec::new();
    let mut start = io::Read::take(BufReader::new(files::open(path)?), FIRST_LINE_BYTES);
    start.read_until(b'\n', &mut first)?;
    let count = |separator: &u8| first.iter().filter(|byte| *byte == separator).count();
    Ok([b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b','))
}

/// Counts the lines of a file up to a record. The reader of CSV gives the place where it began to look for a record: before
/// the line feed of a CR LF that ended the last one, and before empty lines.
struct LineNumbers {
    file: BufReader<File>,
    at: u64,
    line: u64,
    /// Whether the last byte was a carriage return.
    returned: bool,
}

impl LineNumbers {
    /// The line of the record that the reader found at `byte` or after empty lines there. Records are asked for in order.
    fn of(&mut self, byte: u64) -> io::Result<u64> {
        loop {
            let (at, line, returned) = (self.at, self.line, self.returned);
            let bytes = self.file.fill_buf()?;
            let count = bytes.len();
            let ends = |byte: &u8| matches!(byte, b'\r' | b'\n');
            let before = usize::try_from(byte.saturating_sub(at)).unwrap_or(count).min(count);
            let taken = before + bytes[before..].iter().take_while(|byte| ends(byte)).count();
            (self.line, self.returned) = bytes[..taken].iter().fold((line, returned), |(line, returned), byte| {
                // A line feed after a carriage return ends the same line.
                let ended = *byte == b'\r' || (*byte == b'\n' && !returned);
                (line + u64::from(ended), *byte == b'\r')
            });
            self.file.consume(taken);
            self.at += taken as u64;
            if taken < count || count == 0 {
                return Ok(self.line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Records;

    fn lines(text: &str) -> Vec<u64> {
        let file = std::env::temp_dir().join(format!(
            "wgrad-records-{}-{:x}",
            std::process::id(),
            crc32fast::hash(text.as_bytes())
        ));
        std::fs::write(&file, text).expect("writes");
        let mut records = Records::open(&file).expect("opens");
        let mut record = csv::ByteRecord::new();
        let lines = std::iter::from_fn(|| records.read(&mut record).expect("reads")).collect();
        std::fs::remove_file(file).expect("removes");
        lines
    }

    /// Lines are numbered as an editor does.
    #[test]
    fn records_know_their_lines() {
        assert_eq!(lines("a,b\n1,2\n3,4"), [1, 2, 3]);
        assert_eq!(lines("a,b\r\n1,2\r\n3,4\r\n"), [1, 2, 3]);
        assert_eq!(lines("\u{feff}a,b\r1,2\r3,4\r"), [1, 2, 3]);
        assert_eq!(lines("\n\na,b\n1,2\n\n\n3,4\n"), [3, 4, 7]);
        assert_eq!(lines("\r\na,b\r\n\r\n1,2\r\n"), [2, 4]);
        assert_eq!(lines("a,b\n\"1\nstill\",2\n3,4\n"), [1, 2, 4]);
        // Longer than a buffer of the reader and of the counter.
        let long = format!("a,b\r\n{}{}3,4\r\n", "1,2\r\n".repeat(5000), "\r\n".repeat(5000));
        assert_eq!(lines(&long).last(), Some(&10_002));
    }
}
