//! Text as one stream: a `.txt` file, whose last tenth is held out for testing, or a folder of `train.txt` with
//! `val.txt`, `test.txt`.

use crate::data::column::Column;
use crate::data::formats::{Entries, Format, documents};
use crate::data::options::TextOptions;
use crate::data::schema::Field;
use crate::data::source::{Source, file_name};
use crate::data::tokens::stored;
use crate::data::{Dataset, Prepare, ReadOptions, Split};
use crate::error::{Error, Result};
use crate::text::{NO_TOKEN, Tokenizer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The format's line in the registry.
pub(super) const FORMAT: Format =
    Format { name: "text", by: "train.txt, or a file that ends in .txt", recognise: is_text, read };

/// The share of a single file that is held out for testing, its end (as nanoGPT does).
const KEPT: f64 = 0.1;

/// The tokens of a window where nothing says it.
pub const LENGTH: usize = 50;

/// The possible names of a validation file.
const VALIDATION: [&str; 3] = ["val.txt", "valid.txt", "validation.txt"];
/// The possible names of a training file; the second is that of nanoGPT and char-rnn, for a single file.
const TRAINING: [&str; 2] = ["train.txt", "input.txt"];

fn is_text(entries: &Entries) -> bool {
    match entries.is_file {
        true => entries.files.iter().any(|name| is_txt(name)),
        false => entries.folders.is_empty() && find(entries, &TRAINING).is_some(),
    }
}

fn is_txt(name: &str) -> bool {
    name.to_lowercase().ends_with(".txt")
}

fn find(entries: &Entries, names: &[&str]) -> Option<String> {
    let fits = |file: &&String| names.iter().any(|name| file.eq_ignore_ascii_case(name));
    entries.files.iter().find(fits).cloned()
}

/// The parts of a data set: one text of each.
struct Parts {
    train: String,
    validation: Option<String>,
    test: String,
    notices: Vec<String>,
}

fn read(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    if options.text.documents {
        return documents::read(path, options);
    }
    let TextOptions { unit, vocabulary, length, known, kept, .. } = options.text;
    let length = length.unwrap_or(LENGTH);
    let Parts { train, validation, test, mut notices } = match path.is_file() {
        true if options.tests_alone => {
            let (text, said) =
                (contents(path)?, format!("{} has no test part: all of it is evaluated", path.display()));
            Parts { train: text.clone(), validation: None, test: text, notices: vec![said] }
        }
        // Its end is what a data set has to have, and is trained on as well.
        true if options.train_alone => {
            let parts = cut(&contents(path)?, kept.unwrap_or(KEPT), path)?;
            Parts { train: format!("{}{}", parts.train, parts.test), notices: Vec::new(), ..parts }
        }
        _ => parts(path, kept.unwrap_or(KEPT))?,
    };
    let tokenizer = match known {
        Some(known) => known.clone(),
        None => Tokenizer::of(unit.unwrap_or_default(), &train, vocabulary)
            .map_err(|e| crate::error::in_context(&path.display().to_string(), e))?,
    };
    let mut unknown = Unknown::default();
    let mut split = |part: &str, text: &str| stream(&tokenizer, text, length, part, &mut unknown);
    let train = split("train", &train)?;
    let validation = validation.map(|text| split("validation", &text)).transpose()?;
    let test = split("test", &test)?;
    notices.extend(unknown.notice(&tokenizer));
    let mut data = Dataset {
        name: file_name(path),
        classes: tokenizer.tokens().len(),
        class_names: tokenizer.tokens().to_vec(),
        train,
        validation,
        test,
        held_out: options.train_alone && path.is_file(),
        untested: false,
        prepare: Prepare::Resize,
        text: Some(tokenizer),
        target: None,
        notice: None,
    };
    data.note(notices);
    Ok(data)
}

/// The text that a file or a folder is trained on, and what is to be said of it.
///
/// # Errors
/// [`Error::Input`] for a file that is no text, and a folder without one.
pub fn training_text(path: &Path) -> Result<(String, Vec<String>)> {
    parts(path, KEPT).map(|parts| (parts.train, parts.notices))
}

/// The texts of a file or a folder.
pub(super) struct Texts {
    pub(super) train: String,
    pub(super) validation: Option<String>,
    pub(super) test: Option<String>,
}

impl Texts {
    /// Those that there are. A text to validate on is also tested on where there is no other.
    pub(super) fn of(path: &Path) -> Result<Texts> {
        if path.is_file() {
            return Ok(Texts { train: contents(path)?, validation: None, test: None });
        }
        let entries = Entries::of(path)?;
        let of = |names: &[&str]| find(&entries, names).map(|name| path.join(name));
        let train = of(&TRAINING).ok_or_else(|| Error::input(format!("{}: expected train.txt", path.display())))?;
        let read = |file: Option<PathBuf>| file.map(|file| contents(&file)).transpose();
        let (validation, test) = (read(of(&VALIDATION))?, read(of(&["test.txt"]))?);
        let (validation, test) = if test.is_some() { (validation, test) } else { (None, validation) };
        Ok(Texts { train: contents(&train)?, validation, test })
    }
}

/// The texts of a file or a folder, with one to test on.
fn parts(path: &Path, kept: f64) -> Result<Parts> {
    let Texts { train, validation, test } = Texts::of(path)?;
    match test {
        None => cut(&train, kept, path),
        Some(test) => Ok(Parts { train, validation, test, notices: Vec::new() }),
    }
}

/// A text cut in two: the last share of its characters is tested on.
fn cut(text: &str, kept: f64, path: &Path) -> Result<Parts> {
    let count = text.chars().count();
    let first = (count as f64 * (1.0 - kept)) as usize;
    if first < 2 || count - first < 2 {
        return Err(Error::input(format!(
            "{}: found {count} characters, expected some to train on and some to test on, 20 or more",
            path.display()
        )));
    }
    let at = text.char_indices().nth(first).map_or(text.len(), |(at, _)| at);
    let notice = format!("the last {} of {count} characters are held out for testing", count - first);
    Ok(Parts { train: text[..at].into(), validation: None, test: text[at..].into(), notices: vec![notice] })
}

/// A file's text: UTF-8, without a byte order mark, its lines ended as they are.
pub(super) fn contents(path: &Path) -> Result<String> {
    let mut source = Source::open(path)?;
    let bytes = source.rest(source.bytes)?;
    let shown = path.display();
    let text = String::from_utf8(bytes).map_err(|e| {
        let (at, bytes) = (e.utf8_error().valid_up_to(), e.as_bytes());
        let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
        let found = format!("found byte 0x{:02x} in line {line} (byte {at})", bytes[at]);
        Error::input(format!("{shown}: {found}, which is not UTF-8: expected a text in UTF-8; iconv converts it"))
    })?;
    match text.strip_prefix('\u{feff}') {
        Some(rest) => Ok(rest.into()),
        None => Ok(text),
    }
}

/// Tokens of a text that the vocabulary does not have.
#[derive(Default)]
struct Unknown {
    parts: BTreeMap<String, (usize, usize)>,
}

impl Unknown {
    fn notice(&self, tokenizer: &Tokenizer) -> Option<String> {
        let plural = tokenizer.unit().plural();
        let said = self.parts.iter().map(|(part, (found, of))| format!("{found} of {of} {plural} of the {part} text"));
        let said: Vec<String> = said.collect();
        let treated = match tokenizer.unknown() {
            Some(_) => "read as <unk>",
            None => "left out of the loss: the model has no such token",
        };
        (!said.is_empty()).then(|| format!("{} are not in the vocabulary and {treated}", said.join(", ")))
    }
}

/// A text as windows of `length` tokens.
fn stream(tokenizer: &Tokenizer, text: &str, length: usize, part: &str, unknown: &mut Unknown) -> Result<Split> {
    let tokens = tokenizer.encode(text);
    let count = tokens.len();
    if count < 2 {
        return Err(Error::input(format!("the {part} text has {count} tokens, expected at least 2")));
    }
    let missing = |token: &&u32| **token == NO_TOKEN || tokenizer.unknown() == Some(**token);
    let missing = tokens.iter().filter(missing).count();
    if missing == count {
        let plural = tokenizer.unit().plural();
        return Err(Error::input(format!(
            "the {part} text has {count} {plural}, and the vocabulary has none of them: expected a text like the one that is \
             trained on"
        )));
    }
    if missing > 0 {
        unknown.parts.insert(part.into(), (missing, count));
    }
    let windows = Field { stream: Some(count), ..Field::of_tokens(tokenizer.unit(), tokenizer.tokens().len(), length) };
    let column = Column::new(windows.clone(), stored(&tokens, &windows))?;
    Split::of(vec![column])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Unit;
    use std::fs;

    fn in_file(bytes: &[u8], options: &ReadOptions) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, bytes).unwrap();
        Dataset::open_with(path.to_str().unwrap(), options)
    }

    fn of_length(length: usize) -> ReadOptions<'static> {
        ReadOptions { text: TextOptions { length: Some(length), ..TextOptions::default() }, ..ReadOptions::default() }
    }

    #[test]
    fn the_last_tenth_is_kept_and_what_it_alone_has_is_said() {
        let text = format!("\u{feff}{}{}", "abcd ".repeat(18), "abcdé abcd");
        let data = in_file(text.as_bytes(), &of_length(8)).unwrap();
        assert_eq!((data.classes, &data.class_names[..]), (5, &[" ", "a", "b", "c", "d"].map(String::from)[..]));
        let [train, test] = [&data.train, &data.test].map(|split| {
            let column = split.column("text").unwrap();
            (split.count, column.field().stream, column.words(0..split.count).take(6).collect::<Vec<_>>())
        });
        assert_eq!(train, (12, Some(90), vec![1, 2, 3, 4, 0, 1]));
        assert_eq!(test, (2, Some(10), vec![1, 2, 3, 4, NO_TOKEN, 0]));
        let notice = data.notice.unwrap();
        assert!(notice.contains("the last 10 of 100 characters") && notice.contains("1 of 10 characters"), "{notice}");
    }

    #[test]
    fn a_folder_has_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let open = || Dataset::open_with(folder.path().to_str().unwrap(), &of_length(4)).unwrap();
        write("Train.txt", "abababab");
        write("val.txt", "abab");
        let tokens = |split: &Split| split.column("text").unwrap().field().stream.unwrap();
        let data = open();
        assert_eq!((tokens(&data.train), data.validation.is_none(), tokens(&data.test)), (8, true, 4));
        write("test.txt", "ababa");
        let data = open();
        assert_eq!((data.validation.as_ref().map(tokens), tokens(&data.test)), (Some(4), 5));
    }

    #[test]
    fn bytes_and_words_are_tokens_too() {
        let of = |unit, vocabulary| {
            let text = TextOptions { unit: Some(unit), vocabulary, length: Some(4), ..TextOptions::default() };
            in_file(&b"the cat and the dog and the bird ".repeat(9), &ReadOptions { text, ..ReadOptions::default() })
        };
        let bytes = of(Unit::Bytes, 0).unwrap();
        assert_eq!((bytes.classes, bytes.text.map(|text| text.unit())), (256, Some(Unit::Bytes)));
        let words = of(Unit::Words, 3).unwrap();
        assert_eq!(words.class_names, ["<unk>", "the", "and"]);
        assert!(words.notice.unwrap().contains("read as <unk>"));
    }

    #[test]
    fn malformed_texts_are_refused() {
        let error = |bytes: &[u8]| in_file(bytes, &of_length(8)).unwrap_err().to_string();
        assert!(error(b"").contains("found 0 characters"));
        assert!(error(b"a").contains("found 1 characters"));
        assert!(error(&[b'a'; 100]).contains("1 different characters"));
        let error = error(b"one\ntwo \xff three");
        assert!(error.contains("byte 0xff in line 2 (byte 8)"), "{error}");
    }
}
