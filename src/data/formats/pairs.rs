//! Pairs of texts, one to translate and its translation: a `.tsv` file with a line `source<TAB>target` for each, a folder of
//! `train.tsv` with `val.tsv`, `test.tsv` or both, or the columns of a CSV that `--text` and `--target` name.

use crate::data::column::Column;
use crate::data::formats::held_out::divided;
use crate::data::formats::text::contents;
use crate::data::options::TextOptions;
use crate::data::schema::{Field, TARGET, TEXT};
use crate::data::source::file_name;
use crate::data::tokens::stored;
use crate::data::{Dataset, Prepare, ReadOptions, Split};
use crate::error::{Error, Result, in_context};
use crate::text::{NO_TOKEN, Tokenizer, Unit};
use std::collections::HashSet;
use std::path::Path;

/// The tokens of a source where nothing says it.
const LENGTH: usize = 20;

/// One of this number of pairs is kept for tests, where no file has them.
const HELD_OUT: usize = 10;

/// What a file to validate on may be called.
const VALIDATION: [&str; 3] = ["val.tsv", "valid.tsv", "validation.tsv"];

/// A text, and its translation.
pub(super) type Pair = [String; 2];

/// Whether these first columns begin pairs, where no model says it: labels stand in several lines each, sentences in one.
pub(super) fn are_sources<'a>(first: impl Iterator<Item = &'a str>) -> bool {
    let (mut count, mut different) = (0, HashSet::new());
    for text in first.map(str::trim).filter(|text| !text.is_empty()) {
        count += 1;
        different.insert(text);
    }
    2 * different.len() > count
}

/// The pairs of a file, or of the files of a folder.
///
/// # Errors
/// [`Error::Input`] with the line that is no pair.
pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    if path.is_file() {
        return finish(path, Parts { train: file(path)?, validation: None, test: None }, options);
    }
    let part = |names: &[&str]| {
        let found = names.iter().map(|name| path.join(name)).find(|path| path.is_file());
        found.map(|path| file(&path)).transpose()
    };
    let (validation, test) = (part(&VALIDATION)?, part(&["test.tsv"])?);
    let train = part(&["train.tsv", "Train.tsv"])?;
    let train = train.ok_or_else(|| Error::input(format!("{}: expected train.tsv", path.display())))?;
    // A single part beside that to train on is both validated and tested on.
    let parts = match (validation, test) {
        (Some(validation), None) => Parts { train, validation: None, test: Some(validation) },
        (validation, test) => Parts { train, validation, test },
    };
    finish(path, parts, options)
}

fn file(path: &Path) -> Result<Vec<Pair>> {
    lines(&path.display().to_string(), &contents(path)?)
}

/// A pair for each line that is not empty.
///
/// # Errors
/// [`Error::Input`] with the line that has no tab or several, or an empty side.
pub(super) fn lines(shown: &str, text: &str) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |found: String| {
            Error::input(format!("{shown}, line {}: found {found}, expected source<TAB>target", at + 1))
        };
        let sides: Vec<&str> = line.split('\t').map(str::trim).collect();
        match sides[..] {
            ["", _] => return Err(wrong("no text before the tab".into())),
            [_, ""] => return Err(wrong("no text after the tab".into())),
            [source, target] => pairs.push([source.into(), target.into()]),
            [_] => return Err(wrong("no tab".into())),
            _ => return Err(wrong(format!("{} tabs", sides.len() - 1))),
        }
    }
    Ok(pairs)
}

/// The pairs to train, to validate and to test on.
pub(super) struct Parts {
    pub(super) train: Vec<Pair>,
    pub(super) validation: Option<Vec<Pair>>,
    pub(super) test: Option<Vec<Pair>>,
}

/// The data set of its parts; without tests some pairs are kept for them, and repeated sources are all on one side.
pub(super) fn finish(path: &Path, parts: Parts, options: &ReadOptions) -> Result<Dataset> {
    let shown = path.display().to_string();
    let mut notices = Vec::new();
    let Parts { train, validation, test } = parts;
    let held_out = test.is_none() && !options.tests_alone;
    let (train, test) = match test {
        Some(test) => (train, test),
        None if options.tests_alone => (train.clone(), train),
        None if options.train_alone => (train.clone(), train.into_iter().take(1).collect()),
        None => {
            let (train, test) = divided(train, HELD_OUT, |pair| &pair[0]);
            notices
                .push(format!("{shown} alone has no tests: {} pairs are kept for them, one in {HELD_OUT}", test.len()));
            (train, test)
        }
    };
    for (pairs, what) in [(Some(&train), "train"), (validation.as_ref(), "validate"), (Some(&test), "test")] {
        if let Some(0) = pairs.map(Vec::len) {
            let all = train.len() + test.len();
            let plural = if all == 1 { "pair" } else { "pairs" };
            return Err(Error::input(format!(
                "{shown}: found {all} {plural} and none of them to {what} on, expected some of both, 2 or more"
            )));
        }
    }
    let TextOptions { unit, vocabulary, length, known, known_target, .. } = options.text;
    let unit = unit.unwrap_or(Unit::Words);
    let tokenizer = |side: usize, known: Option<&Tokenizer>| match known {
        Some(known) => Ok(known.clone()),
        None => {
            let text: Vec<&str> = train.iter().map(|pair| &*pair[side]).collect();
            let found = Tokenizer::of(unit, &text.join("\n"), vocabulary)
                .map_err(|e| in_context(&format!("{shown}: {}", ["the sources", "the targets"][side]), e))?;
            Ok(if side == 1 { found.with_ends() } else { found })
        }
    };
    let tokenizers = [tokenizer(0, known)?, tokenizer(1, known_target)?];
    let length = length.unwrap_or(LENGTH);
    let mut counts = [Counts::default(); 2];
    let mut split = |pairs: &[Pair]| split(pairs, &tokenizers, length, &mut counts);
    let test_split = split(&test)?;
    let train_split = if options.tests_alone { test_split.clone() } else { split(&train)? };
    let validation = validation.map(|pairs| split(&pairs)).transpose()?;
    for (side, counts) in ["sources", "targets"].into_iter().zip(&counts) {
        notices.extend(counts.notices(side, &tokenizers[usize::from(side == "targets")], length));
    }
    let [source, target] = tokenizers;
    let mut data = Dataset {
        name: file_name(path),
        classes: target.tokens().len(),
        class_names: target.tokens().to_vec(),
        train: train_split,
        validation,
        test: test_split,
        held_out,
        untested: false,
        prepare: Prepare::Resize,
        text: Some(source),
        target: Some(target),
        notice: None,
    };
    data.note(notices);
    Ok(data)
}

/// What was cut of one side, and what its vocabulary does not have.
#[derive(Clone, Copy, Default)]
struct Counts {
    texts: usize,
    cut: usize,
    lost: usize,
    tokens: usize,
    unknown: usize,
}

impl Counts {
    fn notices(&self, side: &str, tokenizer: &Tokenizer, length: usize) -> Vec<String> {
        let Counts { texts, cut, lost, tokens, unknown } = *self;
        let plural = tokenizer.unit().plural();
        let mut notices = Vec::new();
        if cut > 0 {
            notices.push(format!(
                "{cut} of {texts} {side} are cut after {length} {plural}, which leaves out {lost}; --length N takes more"
            ));
        }
        if unknown > 0 {
            let treated = if tokenizer.unknown().is_some() { "read as <unk>" } else { "left out" };
            let known = tokenizer.tokens().len();
            notices.push(format!(
                "{unknown} of {tokens} {plural} of the {side} are not in the vocabulary of {known} and {treated}"
            ));
        }
        notices
    }
}

/// Both sides as tokens. A target that is whole ends with the token for that.
fn split(pairs: &[Pair], tokenizers: &[Tokenizer; 2], length: usize, counts: &mut [Counts; 2]) -> Result<Split> {
    let mut columns = Vec::new();
    for (side, (tokenizer, counts)) in tokenizers.iter().zip(counts).enumerate() {
        let ends = tokenizer.ends().filter(|_| side == 1);
        let places = length + usize::from(side == 1);
        let field = Field::of_texts(tokenizer.unit(), tokenizer.tokens().len(), places);
        let field = Field { name: [TEXT, TARGET][side].into(), ..field };
        let mut tokens = Vec::with_capacity(pairs.len() * places);
        for pair in pairs {
            let mut found = tokenizer.encode(&pair[side]);
            let is_unknown = |token: &&u32| **token == NO_TOKEN || tokenizer.unknown() == Some(**token);
            counts.unknown += found.iter().filter(is_unknown).count();
            counts.tokens += found.len();
            counts.texts += 1;
            found.retain(|token| *token != NO_TOKEN);
            match found.len() > length {
                true => {
                    counts.cut += 1;
                    counts.lost += found.len() - length;
                    found.truncate(length);
                }
                false => found.extend(ends.map(|[_, end]| end)),
            }
            found.resize(places, NO_TOKEN);
            tokens.extend(found);
        }
        columns.push(Column::new(field.clone(), stored(&tokens, &field))?);
    }
    Split::of(columns)?.named(pairs.iter().map(|pair| pair.join("\t")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn open(files: &[(&str, &[u8])], spec: &str, options: &ReadOptions) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
        Dataset::open_with(folder.path().join(spec).to_str().unwrap(), options)
    }

    fn of_length(length: usize) -> ReadOptions<'static> {
        let text = TextOptions { length: Some(length), vocabulary: 100, ..TextOptions::default() };
        ReadOptions { text, ..ReadOptions::default() }
    }

    fn words(split: &Split, field: &str, sample: usize) -> Vec<u32> {
        split.column(field).unwrap().words(sample..sample + 1).collect()
    }

    #[test]
    fn each_line_is_a_pair_and_what_is_cut_is_said() {
        let lines: String = (0..20).map(|n| format!("word{n} is\teso es{n}\n")).collect();
        let text = format!("{lines}\n\na b c d e\tuno dos tres cuatro\n");
        let data = open(&[("a.tsv", text.as_bytes())], "a.tsv", &of_length(3)).unwrap();
        assert_eq!((data.train.count, data.test.count), (18, 3));
        let [source, target] = [data.text.unwrap(), data.target.unwrap()];
        assert_eq!(data.classes, target.tokens().len());
        let [_, end] = target.ends().unwrap();
        let ([text, other], name) = (["text", "target"].map(|f| words(&data.train, f, 0)), data.train.name_of(0));
        assert_eq!(name, Some("word0 is\teso es0"));
        assert_eq!((source.decode(&text[..2]), text[2]), ("word0 is".into(), NO_TOKEN));
        assert_eq!((target.decode(&other[..2]), &other[2..]), ("eso es0".into(), &[end, NO_TOKEN][..]));
        let notice = data.notice.unwrap();
        assert!(notice.contains("1 of 21 sources are cut after 3 words, which leaves out 2"), "{notice}");
        assert!(notice.contains("1 of 21 targets are cut after 3 words, which leaves out 1"), "{notice}");
        assert!(notice.contains("3 pairs are kept for them, one in 10"), "{notice}");
    }

    #[test]
    fn a_target_that_is_cut_has_no_end() {
        let text = "a b\tx y z\nc\tx y\n".repeat(5);
        let options = ReadOptions { text: TextOptions { pairs: Some(true), ..of_length(2).text }, ..of_length(2) };
        let data = open(&[("a.tsv", text.as_bytes())], "a.tsv", &options).unwrap();
        let [_, end] = data.target.as_ref().unwrap().ends().unwrap();
        for split in [&data.train, &data.test] {
            for n in 0..split.count {
                let (target, cut) = (words(split, "target", n), split.name_of(n).unwrap().starts_with("a b"));
                assert_eq!(target[2], if cut { NO_TOKEN } else { end });
            }
        }
        let sources = |split: &Split| (0..split.count).map(|n| words(split, "text", n)).collect::<HashSet<_>>();
        assert!(sources(&data.train).is_disjoint(&sources(&data.test)), "a source is on one side");
    }

    #[test]
    fn a_folder_has_its_parts() {
        let (train, few) = (b"a\tx\nb\ty\nc\tz\n".as_slice(), b"a\tx\n".as_slice());
        let counts = |files: &[(&str, &[u8])]| {
            let data = open(files, "", &of_length(4)).unwrap();
            (data.train.count, data.validation.map(|split| split.count), data.test.count)
        };
        assert_eq!(counts(&[("train.tsv", train), ("val.tsv", few)]), (3, None, 1));
        assert_eq!(counts(&[("train.tsv", train), ("val.tsv", few), ("test.tsv", train)]), (3, Some(1), 3));
        assert_eq!(counts(&[("train.tsv", train)]), (2, None, 1));
    }

    #[test]
    fn pairs_are_told_from_labels() {
        let is_pairs =
            |text: &str| open(&[("a.tsv", text.as_bytes())], "a.tsv", &of_length(4)).unwrap().target.is_some();
        assert!(is_pairs("one\tuno\ntwo\tdos\nthree\ttres\none\tun\n"));
        assert!(!is_pairs(&"good\ta film\nbad\tanother film\n".repeat(3)));
    }

    #[test]
    fn malformed_lines_are_named() {
        let error = |text: &[u8]| open(&[("a.tsv", text)], "a.tsv", &of_length(4)).unwrap_err().to_string();
        for (text, expected) in [
            (&b"a\tx\nb\ty\nc z\n"[..], "line 3: found no tab, expected source<TAB>target"),
            (b"a\tx\nb\ty\tz\n", "line 2: found 2 tabs"),
            (b"a\tx\n \ty\n", "line 2: found no text before the tab"),
            (b"a\tx\n\nb\t \n", "line 3: found no text after the tab"),
            (b"a\tx\nb\t\xff\n", "byte 0xff in line 2"),
            (b"a\tx\n", "found 1 pair and none of them to train on"),
        ] {
            let error = error(text);
            assert!(error.contains(expected), "{error}");
        }
    }
}
