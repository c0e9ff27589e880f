//! Texts with labels: a `.tsv` file with a line `label<TAB>text` for each sample, a folder of `train.tsv` and `test.tsv`, or the
//! columns of a CSV that `--text` and `--target` name. Where the model or the first columns say so, they are pairs instead.

use crate::data::column::Column;
use crate::data::formats::held_out::held_out;
#[cfg(feature = "csv")]
use crate::data::formats::lines::{Lines, Rows};
use crate::data::formats::pairs;
use crate::data::formats::parts::{TEST, VALIDATION, file};
use crate::data::formats::text::contents;
use crate::data::formats::{Entries, Format};
use crate::data::options::TextOptions;
use crate::data::schema::Field;
use crate::data::source::file_name;
use crate::data::split::Labels;
use crate::data::tokens::stored;
use crate::data::{Dataset, MOST_CLASSES, ReadOptions, Split};
use crate::error::{Error, Result, in_context};
use crate::text::{NO_TOKEN, Tokenizer, Unit};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The format's line in the registry.
pub(super) const FORMAT: Format = Format {
    name: "labelled text",
    by: "train.tsv and test.tsv, of lines label<TAB>text or source<TAB>target",
    recognise: is_tsv,
    read,
};

/// The tokens of a sample where nothing says it.
const LENGTH: usize = 64;

fn is_tsv(entries: &Entries) -> bool {
    let is_tsv = |name: &str| name.to_lowercase().ends_with(".tsv");
    match entries.is_file {
        true => entries.files.iter().any(|name| is_tsv(name)),
        false => entries.any(|name| name.eq_ignore_ascii_case("train.tsv")),
    }
}

/// Samples: the label and the text of each.
#[derive(Default)]
struct Samples {
    labels: Vec<String>,
    texts: Vec<String>,
}

fn read(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    let first = if path.is_file() { path.to_owned() } else { path.join("train.tsv") };
    let is_pairs = |text: &str| pairs::are_sources(text.lines().filter_map(|line| Some(line.split_once('\t')?.0)));
    if options.text.pairs.map_or_else(|| contents(&first).map(|text| is_pairs(&text)), Ok)? {
        return pairs::read(path, options);
    }
    let one = |file: PathBuf| lines(&file, &contents(&file)?);
    match path.is_file() {
        true => finish(path, one(path.into())?, None, options),
        false => {
            // Without tests the texts to validate on are what is tested on.
            let test = file(path, TEST, "tsv").or_else(|| file(path, VALIDATION, "tsv"));
            let test = test.unwrap_or_else(|| path.join("test.tsv"));
            finish(path, one(path.join("train.tsv"))?, Some(one(test)?), options)
        }
    }
}

/// Reads a CSV of which one column has the texts and one the labels; of a folder `train` and `test`.
///
/// # Errors
/// [`Error::Input`] for columns that there are not, and as for lines.
#[cfg(feature = "csv")]
pub(super) fn read_csv(path: &Path, [train, test]: [&Path; 2], text: &str, options: &ReadOptions) -> Result<Dataset> {
    let [target] = options.targets else {
        let found = options.targets.len();
        return Err(Error::input(format!("text {text}: found {found} target columns, expected --target with one")));
    };
    let one = |file: &Path| {
        let mut rows = Rows::default();
        Lines::open(file)?.read(&[], &[target.clone(), text.to_owned()], &mut rows)?;
        let mut columns = rows.targets.into_iter();
        let (labels, texts) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
        Ok(Samples { labels, texts })
    };
    let apart = (train != test).then(|| one(test)).transpose()?;
    let train = one(train)?;
    if options.text.pairs.unwrap_or_else(|| pairs::are_sources(train.labels.iter().map(String::as_str))) {
        // The column of texts is what is translated, that of targets the translation.
        let parts = pairs::Parts {
            train: in_pairs(train, path)?,
            validation: None,
            test: apart.map(|test| in_pairs(test, path)).transpose()?,
        };
        return pairs::finish(path, parts, options);
    }
    finish(path, train, apart, options)
}

/// Texts and their translations.
#[cfg(feature = "csv")]
fn in_pairs(samples: Samples, path: &Path) -> Result<Vec<pairs::Pair>> {
    let pairs: Vec<pairs::Pair> = samples.texts.into_iter().zip(samples.labels).map(<[String; 2]>::from).collect();
    match pairs.iter().position(|pair| pair.iter().any(String::is_empty)) {
        None => Ok(pairs),
        Some(at) => {
            let (shown, row) = (path.display(), at + 1);
            Err(Error::input(format!(
                "{shown}: found row {row} to have an empty text, expected a text and its translation"
            )))
        }
    }
}

/// A sample for each line that is not empty.
fn lines(path: &Path, text: &str) -> Result<Samples> {
    let mut samples = Samples::default();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |found: &str| {
            let (shown, line) = (path.display(), at + 1);
            Error::input(format!("{shown}, line {line}: found {found}, expected label<TAB>text"))
        };
        let (label, text) = line.split_once('\t').ok_or_else(|| wrong("no tab"))?;
        let label = label.trim();
        if label.is_empty() {
            return Err(wrong("no label"));
        }
        samples.labels.push(label.into());
        samples.texts.push(text.trim().into());
    }
    Ok(samples)
}

/// The data set of its samples; without tests a fifth of each class is kept for them.
fn finish(path: &Path, train: Samples, test: Option<Samples>, options: &ReadOptions) -> Result<Dataset> {
    let shown = path.display().to_string();
    let mut notices = Vec::new();
    let held_out = test.is_none() && !options.tests_alone;
    let (train, test) = match test {
        Some(test) => (train, test),
        // One of them is what a data set has to have.
        None if options.train_alone => {
            let [labels, texts] = [&train.labels, &train.texts].map(|all| all.iter().take(1).cloned().collect());
            (train, Samples { labels, texts })
        }
        None if options.tests_alone => {
            notices.push(format!("{shown} has no test part: all of it is evaluated"));
            (Samples::default(), train)
        }
        None => {
            notices.push(format!("{shown} has no test part: one sample in 5 of each class is held out for testing"));
            divided(train)
        }
    };
    let known = options.class_names;
    let found: BTreeSet<&String> = train.labels.iter().chain(&test.labels).collect();
    let names: Vec<String> = if known.is_empty() { found.into_iter().cloned().collect() } else { known.to_vec() };
    if !(2..=MOST_CLASSES).contains(&names.len()) {
        let count = names.len();
        return Err(Error::input(format!(
            "{shown}: found {count} labels, expected 2 to {MOST_CLASSES} different ones"
        )));
    }
    if train.texts.len() + test.texts.len() > 1 && test.texts.is_empty() {
        let count = names.len();
        return Err(Error::input(format!(
            "{shown}: found {count} labels, each in one line: expected some of each, label<TAB>text; pairs source<TAB>target are \
             for a model that translates"
        )));
    }
    let TextOptions { unit, vocabulary, length, known, .. } = options.text;
    let whole = if train.texts.is_empty() { &test.texts } else { &train.texts };
    let tokenizer = match known {
        Some(known) => known.clone(),
        None => Tokenizer::of(unit.unwrap_or(Unit::Words), &whole.join("\n"), vocabulary)
            .map_err(|e| in_context(&shown, e))?,
    };
    let length = length.unwrap_or(LENGTH);
    let mut counts = Counts::default();
    let mut split = |samples: &Samples| split(samples, &tokenizer, length, &names, &mut counts);
    let test_split = split(&test)?;
    let train_split = if train.texts.is_empty() { test_split.clone() } else { split(&train)? };
    notices.extend(counts.notices(&tokenizer, length));
    let mut data = Dataset::new(file_name(path), train_split, test_split)?;
    (data.classes, data.class_names, data.text) = (names.len(), names, Some(tokenizer));
    data.held_out = held_out;
    data.note(notices);
    Ok(data)
}

/// Samples to train on and samples to test on, the same ones whatever their order.
fn divided(all: Samples) -> (Samples, Samples) {
    let labels: Vec<&str> = all.labels.iter().map(String::as_str).collect();
    let kept = held_out(&labels, |n| (crc32fast::hash(all.texts[n].as_bytes()), n));
    let part = |test: bool| {
        let chosen =
            |of: &[String]| of.iter().zip(&kept).filter(|(_, kept)| **kept == test).map(|(x, _)| x.clone()).collect();
        Samples { labels: chosen(&all.labels), texts: chosen(&all.texts) }
    };
    (part(false), part(true))
}

/// Notices of truncated texts and of unknown tokens.
#[derive(Default)]
struct Counts {
    samples: usize,
    cut: usize,
    lost: usize,
    tokens: usize,
    unknown: usize,
    empty: usize,
}

impl Counts {
    fn notices(&self, tokenizer: &Tokenizer, length: usize) -> Vec<String> {
        let Counts { samples, cut, lost, tokens, unknown, empty } = *self;
        let plural = tokenizer.unit().plural();
        let mut notices = Vec::new();
        if cut > 0 {
            notices.push(format!("{cut} of {samples} texts are cut after {length} {plural}, which leaves out {lost}; a larger --length N keeps more"));
        }
        if unknown > 0 {
            let treated = if tokenizer.unknown().is_some() { "read as <unk>" } else { "left out" };
            notices.push(format!(
                "{unknown} of {tokens} {plural} are not in the vocabulary of {} and {treated}",
                tokenizer.tokens().len()
            ));
        }
        if empty > 0 {
            notices.push(format!("{empty} of {samples} texts are empty"));
        }
        notices
    }
}

fn split(
    samples: &Samples,
    tokenizer: &Tokenizer,
    length: usize,
    names: &[String],
    counts: &mut Counts,
) -> Result<Split> {
    let field = Field::of_texts(tokenizer.unit(), tokenizer.tokens().len(), length);
    let mut tokens = Vec::with_capacity(samples.texts.len() * length);
    let mut labels = Vec::with_capacity(samples.labels.len());
    for (text, label) in samples.texts.iter().zip(&samples.labels) {
        let mut found = tokenizer.encode(text);
        let is_unknown = |token: &&u32| **token == NO_TOKEN || tokenizer.unknown() == Some(**token);
        counts.unknown += found.iter().filter(is_unknown).count();
        counts.tokens += found.len();
        counts.samples += 1;
        found.retain(|token| *token != NO_TOKEN);
        counts.empty += usize::from(found.is_empty());
        let room = tokenizer.room(length);
        if found.len() > room {
            counts.cut += 1;
            counts.lost += found.len() - room;
        }
        tokens.extend(tokenizer.sample(found, length));
        let class = names.iter().position(|name| name == label).ok_or_else(|| {
            let expected =
                crate::suggest::unknown("label", label, &names.iter().map(String::as_str).collect::<Vec<_>>(), "");
            Error::input(expected)
        })?;
        labels.push(class as u16);
    }
    let texts = Column::new(field.clone(), stored(&tokens, &field))?;
    Split::of(vec![texts, Labels::narrow(labels).column(&[])?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn in_file(text: &str, length: usize) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        fs::write(&path, text).unwrap();
        let text = TextOptions { length: Some(length), vocabulary: 100, ..TextOptions::default() };
        Dataset::open_with(path.to_str().unwrap(), &ReadOptions { text, ..ReadOptions::default() })
    }

    #[test]
    fn each_line_is_a_sample_and_what_is_cut_is_said() {
        let lines: String =
            (0..10).map(|n| format!("{}\tword{n} is good\n", if n % 2 == 0 { "pos" } else { "neg" })).collect();
        let data = in_file(&format!("{lines}\n\npos\ta b c d e f\n"), 3).unwrap();
        assert_eq!((data.train.count, data.test.count, data.class_names), (9, 2, vec!["neg".into(), "pos".into()]));
        let text = data.train.column("text").unwrap();
        assert_eq!((text.field().shape.clone(), text.field().stream), (vec![3], None));
        let notice = data.notice.unwrap();
        assert!(notice.contains("1 of 11 texts are cut after 3 words, which leaves out 3"), "{notice}");
        assert!(notice.contains("one sample in 5"), "{notice}");
    }

    #[test]
    fn short_texts_are_filled_up_and_malformed_lines_are_named() {
        let data = in_file(&"a\tone\nb\ttwo words\n".repeat(5), 4).unwrap();
        let text = data.train.column("text").unwrap();
        let lengths: Vec<usize> =
            (0..text.count()).map(|n| text.words(n..n + 1).filter(|w| *w != NO_TOKEN).count()).collect();
        assert_eq!(lengths.iter().sum::<usize>(), 4 + 2 * 4, "{lengths:?}");
        for (text, expected) in [
            ("a\tone\nbtwo\n", "line 2: found no tab"),
            ("\tone\n", "line 1: found no label"),
            ("a\tone\na\ttwo\n", "found 1 labels"),
            ("", "found 0 labels"),
        ] {
            let error = in_file(text, 4).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
