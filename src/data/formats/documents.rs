//! Documents, one on each line of a text: each is a sequence of its own, which begins and ends with a token for that.

use crate::counted::counted;
use crate::data::column::Column;
use crate::data::formats::held_out::divided;
use crate::data::formats::text::{LENGTH, Texts};
use crate::data::options::TextOptions;
use crate::data::schema::Field;
use crate::data::source::file_name;
use crate::data::tokens::stored;
use crate::data::{Dataset, Prepare, ReadOptions, Split};
use crate::error::{Error, Result, in_context};
use crate::text::{NO_TOKEN, Tokenizer, Unit};
use std::path::Path;

/// One of this number of documents is held out for tests, where no file has them.
const HELD_OUT: usize = 10;

/// The documents of a file, or of the files of a folder.
///
/// # Errors
/// [`Error::Input`] for files that are no text, too few documents, and tokens without those that begin and end a document.
pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    let (shown, mut notices) = (path.display().to_string(), Vec::new());
    let Texts { train, validation, test } = Texts::of(path)?;
    let mut empty = 0;
    let mut lines = |text: String| {
        let all = text.lines().map(str::trim);
        let found: Vec<String> = all.filter(|line| !line.is_empty()).map(String::from).collect();
        empty += text.lines().count() - found.len();
        found
    };
    let (train, validation, test) = (lines(train), validation.map(&mut lines), test.map(&mut lines));
    if empty > 0 {
        notices.push(format!("left out: {} of {shown}", counted(empty, "empty line")));
    }
    let held_out = test.is_none() && !options.tests_alone;
    let (train, test) = match test {
        Some(test) => (train, test),
        None if options.tests_alone => {
            notices.push(format!("{shown} has no test part: all of it is evaluated"));
            (train.clone(), train)
        }
        None if options.train_alone => (train.clone(), train.into_iter().take(1).collect()),
        None => {
            let (train, test) = divided(train, HELD_OUT, |line| line);
            let count = test.len();
            notices.push(format!(
                "{shown} has no test part: {count} documents, one in {HELD_OUT}, are held out for testing"
            ));
            (train, test)
        }
    };
    for (documents, what) in [(Some(&train), "train"), (validation.as_ref(), "validate"), (Some(&test), "test")] {
        if documents.is_some_and(Vec::is_empty) {
            let all = counted(train.len() + test.len(), "document");
            return Err(Error::input(format!(
                "{shown}: found {all} and none of them to {what} on, expected a line for each, 2 or more"
            )));
        }
    }
    let TextOptions { unit, vocabulary, length, known, shrinks, .. } = options.text;
    let unit = unit.unwrap_or_default();
    let tokenizer = match known {
        Some(known) if known.ends().is_some() => known.clone(),
        Some(_) => {
            let why = "found tokens of a model that continues one text, expected a model that was trained on documents";
            return Err(Error::input(format!("{shown}: {why}")));
        }
        None => {
            // Between words there is a space, between characters nothing.
            let between = if unit == Unit::Words { "\n" } else { "" };
            Tokenizer::of(unit, &train.join(between), vocabulary).map_err(|e| in_context(&shown, e))?.with_ends()
        }
    };
    let mut length = length.unwrap_or(LENGTH);
    if shrinks {
        // No more places than the longest document and its end take.
        let all = train.iter().chain(validation.iter().flatten()).chain(&test);
        length = length.min(1 + all.map(|text| tokenizer.encode(text).len()).max().unwrap_or(0)).max(2);
    }
    let mut counts = Counts::default();
    let mut split = |documents: &[String]| split(documents, &tokenizer, length, &mut counts);
    let test = split(&test)?;
    let train = if options.tests_alone { test.clone() } else { split(&train)? };
    let validation = validation.map(|documents| split(&documents)).transpose()?;
    notices.extend(counts.notices(&tokenizer, length));
    let mut data = Dataset {
        name: file_name(path),
        classes: tokenizer.tokens().len(),
        class_names: tokenizer.tokens().to_vec(),
        train,
        validation,
        test,
        held_out,
        untested: false,
        prepare: Prepare::Resize,
        text: Some(tokenizer),
        target: None,
        notice: None,
    };
    data.note(notices);
    Ok(data)
}

/// What was cut, and what the vocabulary does not have.
#[derive(Default)]
struct Counts {
    documents: usize,
    cut: usize,
    lost: usize,
    tokens: usize,
    unknown: usize,
}

impl Counts {
    fn notices(&self, tokenizer: &Tokenizer, length: usize) -> Vec<String> {
        let Counts { documents, cut, lost, tokens, unknown } = *self;
        let plural = tokenizer.unit().plural();
        let mut notices = Vec::new();
        if cut > 0 {
            notices.push(format!(
                "{cut} of {documents} documents are cut after {length} {plural}, which leaves out {lost} and their ends; a \
                 larger --length N keeps more"
            ));
        }
        if unknown > 0 {
            let treated = if tokenizer.unknown().is_some() { "read as <unk>" } else { "left out" };
            notices.push(format!("{unknown} of {tokens} {plural} are not in the vocabulary and {treated}"));
        }
        notices
    }
}

/// Documents as tokens, each with the one that ends it where there is room for it.
fn split(documents: &[String], tokenizer: &Tokenizer, length: usize, counts: &mut Counts) -> Result<Split> {
    let field = Field::of_texts(tokenizer.unit(), tokenizer.tokens().len(), length);
    let mut tokens = Vec::with_capacity(documents.len() * length);
    for document in documents {
        let mut found = tokenizer.encode(document);
        let is_unknown = |token: &&u32| **token == NO_TOKEN || tokenizer.unknown() == Some(**token);
        counts.unknown += found.iter().filter(is_unknown).count();
        counts.tokens += found.len();
        counts.documents += 1;
        found.retain(|token| *token != NO_TOKEN);
        match found.len() < length {
            true => found.extend(tokenizer.ends().map(|[_, end]| end)),
            false => {
                counts.cut += 1;
                counts.lost += found.len() - length;
            }
        }
        found.resize(length, NO_TOKEN);
        tokens.extend(found);
    }
    Split::of(vec![Column::new(field.clone(), stored(&tokens, &field))?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn open(text: &[u8], options: TextOptions) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.txt");
        fs::write(&path, text).unwrap();
        let text = TextOptions { documents: true, ..options };
        Dataset::open_with(path.to_str().unwrap(), &ReadOptions { text, ..ReadOptions::default() })
    }

    #[test]
    fn each_line_is_a_document_with_an_end() {
        let text = "anna\n\n  bob \r\nemma\n".repeat(5);
        let shrunk = open(text.as_bytes(), TextOptions { shrinks: true, ..TextOptions::default() }).unwrap();
        let tokenizer = shrunk.text.clone().unwrap();
        assert_eq!(tokenizer.tokens(), ["a", "b", "e", "m", "o", "<begin>", "<end>"], "anna is held out");
        let text = |split: &Split, n: usize| split.column("text").unwrap().words(n..n + 1).collect::<Vec<u32>>();
        // Those that are there again are all on one side.
        assert_eq!((shrunk.train.count, shrunk.test.count), (10, 5));
        for n in 0..10 {
            let tokens = text(&shrunk.train, n);
            let end = tokens.iter().position(|token| *token == 6).unwrap();
            assert_eq!(tokens.len(), 5, "the longest, and its end");
            assert!(["bob", "emma"].contains(&&*tokenizer.decode(&tokens[..end])), "{tokens:?}");
            assert!(tokens[end + 1..].iter().all(|token| *token == NO_TOKEN), "{tokens:?}");
        }
        let notice = shrunk.notice.unwrap();
        assert!(notice.contains("5 empty lines of") && notice.contains("5 documents, one in 10"), "{notice}");
        assert!(notice.contains("10 of 55 characters are not in the vocabulary and left out"), "{notice}");
        let cut = open(b"abc\nabcde\nabcd\n", TextOptions { length: Some(4), ..TextOptions::default() }).unwrap();
        assert!(cut.notice.unwrap().contains("2 of 3 documents are cut after 4 characters, which leaves out 1"));
        assert_eq!(cut.train.schema().target().unwrap().name, "text");
    }

    #[test]
    fn malformed_documents_are_refused() {
        let error = |text: &[u8]| open(text, TextOptions::default()).unwrap_err().to_string();
        assert!(error(b"").contains("found 0 documents and none of them to train on"), "{}", error(b""));
        assert!(error(b"\n \n\n").contains("found 0 documents"));
        assert!(error(b"anna\n").contains("found 1 document and none of them to train on"));
        assert!(error(b"anna\nb\xff\n").contains("byte 0xff in line 2"));
        assert!(error(b"aa\naa\na\n").contains("1 different characters"));
        let known = Tokenizer::known(Unit::Chars, vec!["a".into(), "b".into()]);
        let of_stream = TextOptions { known: Some(&known), ..TextOptions::default() };
        assert!(open(b"a\nb\n", of_stream).unwrap_err().to_string().contains("a model that continues one text"));
    }
}
