//! CSV tables: a line of names, then a line of numbers for each sample; some of the columns are the targets.

use crate::counted::counted;
use crate::data::column::Column;
use crate::data::formats::held_out::{held_out, one_of};
use crate::data::formats::lines::{Lines, Rows};
use crate::data::schema::{FEATURES, Field, NUMBERS};
use crate::data::split::Labels;
use crate::data::{Dataset, MOST_CLASSES, ReadOptions, Scale, Split, TargetKind};
use crate::error::{Error, Result};
use crate::suggest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// All samples of a table, those to test on last or chosen among them.
struct Table {
    name: String,
    features: Vec<String>,
    targets: Vec<String>,
    rows: Rows,
    is_test: Vec<bool>,
    /// Whether all samples are trained on, and whether all are tested on.
    all: [bool; 2],
}

/// The targets of all samples.
enum Targets {
    /// [targets][samples].
    Numbers(Vec<Vec<f64>>),
    /// The names, and the number of each sample's.
    Classes(Vec<String>, Vec<u16>),
    /// [targets][samples], 1 or 0.
    Answers(Vec<Vec<u8>>),
}

/// Reads the files `train` and `test`, or `train` alone, of which a fifth is held out for testing. Features, and targets
/// that are numbers, are standardised by the training samples' mean and deviation, or as `options` say.
///
/// # Errors
/// [`Error::Input`] that names the file, the line and the column, for a column that is missing and a value that is not a number,
/// answer or class.
pub(super) fn read(name: String, train: &Path, test: Option<&Path>, options: &ReadOptions) -> Result<Dataset> {
    let mut notes = Vec::new();
    let table = open(name, train, test, options, &mut notes)?;
    let targets = table.targets(options, &mut notes)?;
    let feature = |c: usize| table.rows.features.iter().skip(c).step_by(table.features.len()).copied();
    let trained = |c: usize| feature(c).enumerate().filter(|(row, _)| table.has(false, *row)).map(|(_, x)| x);
    // The columns that are read, by their place among the features.
    let (places, scales): (Vec<usize>, Vec<Scale>) = match options.columns {
        [] => (0..table.features.len())
            .filter(|&c| !Scale::is_constant(trained(c)))
            .map(|c| (c, Scale::of(&table.features[c], trained(c).collect::<Vec<_>>().iter().copied())))
            .unzip(),
        known => (0..known.len()).zip(known.iter().cloned()).unzip(),
    };
    if places.len() < table.features.len() {
        let left: Vec<&String> =
            (0..table.features.len()).filter(|c| !places.contains(c)).map(|c| &table.features[c]).collect();
        let count = counted(left.len(), "column");
        notes.push(format!("{count} left out, with the same number in every training sample: {}", listed(&left)));
    }
    if places.is_empty() {
        let found = listed(&table.features);
        let why = "found the same numbers in every training sample, expected numbers that differ";
        return Err(Error::input(format!("columns {found}: {why}")));
    }
    let [to_train, to_test] = [false, true].map(|test| table.split((&places, &scales), &targets, options, test));
    let mut data = Dataset::new(table.name.clone(), to_train?, to_test?)?;
    match targets {
        Targets::Classes(names, _) => (data.classes, data.class_names) = (names.len(), names),
        Targets::Numbers(_) | Targets::Answers(_) => data.class_names = table.targets,
    }
    data.held_out = test.is_none();
    data.notice = (!notes.is_empty()).then(|| notes.join("; "));
    Ok(data)
}

/// The features of every sample of a file for a model that reads these columns, [samples, columns] standardised, and the
/// columns that it does not read.
///
/// # Errors
/// [`Error::Input`] that names the file, the line and the column, for a column that is missing and a value that is not a number.
pub fn read_features(path: &Path, columns: &[Scale]) -> Result<(Vec<f32>, Vec<String>)> {
    let lines = Lines::open(path)?;
    let wanted: Vec<String> = columns.iter().map(|scale| scale.name.clone()).collect();
    let unread: Vec<String> = lines.names().iter().filter(|name| !wanted.contains(name)).cloned().collect();
    let mut rows = Rows::default();
    lines.read(&wanted, &[], &mut rows)?;
    let values = rows.features.iter().zip(columns.iter().cycle()).map(|(x, scale)| standardised(scale, *x));
    Ok((values.collect::<Result<_>>()?, unread))
}

fn open(
    name: String,
    first: &Path,
    second: Option<&Path>,
    options: &ReadOptions,
    notes: &mut Vec<String>,
) -> Result<Table> {
    let lines = Lines::open(first)?;
    notes.extend(lines.notice());
    let known: Vec<String> = lines.names().to_vec();
    let find = |wanted: &String| match known.iter().find(|name| *name == wanted.trim()) {
        Some(name) => Ok(name.clone()),
        None => Err(Error::input(format!(
            "{}: found the columns {}, expected one named '{wanted}'{}",
            first.display(),
            listed(&known),
            suggest::hint(wanted, known.iter().map(String::as_str))
        ))),
    };
    let targets: Vec<String> = options.targets.iter().map(find).collect::<Result<_>>()?;
    let ignored: Vec<String> = options.ignored.iter().map(find).collect::<Result<_>>()?;
    if let Some(twice) = (1..targets.len()).find(|&at| targets[..at].contains(&targets[at])) {
        return Err(Error::input(format!("target {}: found it twice, expected each target once", targets[twice])));
    }
    let given: Vec<&str> = options.target_scales.iter().map(|scale| &*scale.name).collect();
    if !given.is_empty() && given != targets {
        let (found, expected) = (listed(&targets), listed(&given));
        return Err(Error::input(format!("targets {found}: expected {expected}, which the model gives")));
    }
    if let Some(both) = targets.iter().find(|target| ignored.contains(target)) {
        let why = "found it as a target and among those to leave out, expected one of the two";
        return Err(Error::input(format!("column {both}: {why}")));
    }
    let reads = |name: &&String| options.columns.iter().any(|scale| scale.name == **name);
    if let Some(leak) = targets.iter().chain(&ignored).find(reads) {
        let what = if targets.contains(leak) { "learn" } else { "leave out" };
        return Err(Error::input(format!("column {leak}: the model reads it, expected another to {what}")));
    }
    let features: Vec<String> = match options.columns {
        [] => known.iter().filter(|name| !targets.contains(name) && !ignored.contains(name)).cloned().collect(),
        columns => columns.iter().map(|scale| find(&scale.name)).collect::<Result<_>>()?,
    };
    if features.is_empty() {
        let shown = first.display();
        return Err(Error::input(format!("{shown}: found no column besides the targets, expected one to learn from")));
    }
    let unread: Vec<&String> =
        known.iter().filter(|name| !features.contains(name) && !targets.contains(name)).collect();
    if !unread.is_empty() {
        notes.push(format!("{} left out: {}", counted(unread.len(), "column"), listed(&unread)));
    }
    let mut rows = Rows::default();
    lines.read(&features, &targets, &mut rows)?;
    let trained = rows.count();
    let is_test = match second {
        Some(second) => {
            Lines::open(second)?.read(&features, &targets, &mut rows)?;
            (0..rows.count()).map(|row| row >= trained).collect()
        }
        None => {
            let shown = first.display();
            notes.extend(match (options.tests_alone, options.train_alone) {
                (true, _) => Some(format!("{shown} has no test part: all of it is evaluated")),
                (_, true) => None,
                _ => Some(format!("{shown} has no test part: one sample in 5 is held out for testing")),
            });
            if options.train_alone { one_of(rows.count()) } else { keep_fifth(&rows, features.len()) }
        }
    };
    if is_test.iter().all(|test| *test) || !is_test.contains(&true) {
        let (shown, found) = (first.display(), rows.count());
        return Err(Error::input(format!(
            "{shown}: found {}, expected some to train on and some to test on",
            counted(found, "sample")
        )));
    }
    let all = [options.train_alone, options.tests_alone].map(|asked| asked && second.is_none());
    Ok(Table { name, features, targets, rows, is_test, all })
}

/// Which rows are held out for testing: a fifth of those that differ in their features, so that the same sample twice goes to one part
/// and lines may change places; of each class alike, where there are few of them.
fn keep_fifth(rows: &Rows, width: usize) -> Vec<bool> {
    let bytes = |row: &[f64]| row.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let each: Vec<Vec<u8>> = rows.features.chunks(width.max(1)).map(bytes).collect();
    let mut places: BTreeMap<&[u8], usize> = BTreeMap::new();
    let (mut first, mut group) = (Vec::new(), Vec::with_capacity(each.len()));
    for (row, bytes) in each.iter().enumerate() {
        let next = places.len();
        let place = *places.entry(bytes).or_insert(next);
        if place == next {
            first.push(row);
        }
        group.push(place);
    }
    let key = |n: usize| (crc32fast::hash(&each[first[n]]), n);
    let texts = rows.targets.first().filter(|_| rows.targets.len() == 1);
    let few = texts.filter(|texts| texts.iter().collect::<BTreeSet<_>>().len() * 5 <= texts.len());
    let kept = match few {
        Some(texts) => held_out(&first.iter().map(|&row| &texts[row]).collect::<Vec<_>>(), key),
        None => held_out(&vec![0; first.len()], key),
    };
    group.into_iter().map(|place| kept[place]).collect()
}

impl Table {
    /// The targets as what they are; what is guessed is noted.
    fn targets(&self, options: &ReadOptions, notes: &mut Vec<String>) -> Result<Targets> {
        let Rows { targets, .. } = &self.rows;
        let all = |fits: &dyn Fn(&str) -> bool| targets.iter().flatten().all(|text| fits(text));
        let texts = all(&|text| number(text).is_none() && !text.is_empty());
        let answers = all(&|text| answer(text).is_some());
        let kind = match options.target_kind {
            TargetKind::Guessed if texts && targets.len() == 1 => TargetKind::Classes,
            TargetKind::Guessed if texts && answers => TargetKind::Answers,
            TargetKind::Guessed => TargetKind::Numbers,
            // Two classes by other names are a yes-or-no answer as well.
            TargetKind::Answers if texts && !answers && targets.len() == 1 => TargetKind::Classes,
            kind => kind,
        };
        let guessed = options.target_kind == TargetKind::Guessed;
        let named = listed(&self.targets);
        match kind {
            TargetKind::Guessed | TargetKind::Numbers => {
                let hint = match (guessed, answers) {
                    (false, _) => "",
                    (true, true) => "; --loss bce learns yes and no",
                    (true, false) => "; --loss softmax makes a class of every text",
                };
                self.each(&format!("a number{hint}"), number).map(Targets::Numbers)
            }
            TargetKind::Answers => {
                if guessed {
                    notes.push(format!("{named} hold yes and no: answers (--loss bce)"));
                }
                self.each("1 or 0, yes or no, true or false", answer).map(Targets::Answers)
            }
            TargetKind::Classes => {
                let classes = self.classes(options.class_names)?;
                if let (Targets::Classes(names, _), true) = (&classes, guessed) {
                    notes.push(format!("{named} holds texts: {} (--loss softmax)", counted(names.len(), "class")));
                }
                Ok(classes)
            }
        }
    }

    /// Every target by `parse`, [targets][samples].
    fn each<T>(&self, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<Vec<T>>> {
        let columns = self.targets.iter().zip(&self.rows.targets);
        let column = |(name, texts): (&String, &Vec<String>)| {
            let cell =
                |(row, text): (usize, &String)| parse(text).ok_or_else(|| self.rows.wrong(row, name, text, expected));
            texts.iter().enumerate().map(cell).collect()
        };
        columns.map(column).collect()
    }

    fn classes(&self, known: &[String]) -> Result<Targets> {
        let ([name], [texts]) = (&self.targets[..], &self.rows.targets[..]) else {
            let found = self.targets.len();
            return Err(Error::input(format!("found {found} targets of classes, expected one")));
        };
        let names: Vec<String> = match known {
            [] => {
                let mut names: Vec<String> = texts.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect();
                if names.iter().all(|name| number(name).is_some()) {
                    names.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
                }
                names
            }
            known => known.to_vec(),
        };
        if !(2..=MOST_CLASSES).contains(&names.len()) {
            let found = counted(names.len(), "class");
            return Err(Error::input(format!("column {name}: found {found}, expected 2 to {MOST_CLASSES}")));
        }
        let places: BTreeMap<&str, u16> = names.iter().enumerate().map(|(at, name)| (&**name, at as u16)).collect();
        let class = |(row, text): (usize, &String)| {
            let at = places.get(&**text).copied().filter(|_| !text.is_empty());
            at.ok_or_else(|| self.rows.wrong(row, name, text, "the name of a class"))
        };
        let labels = texts.iter().enumerate().map(class).collect::<Result<_>>()?;
        Ok(Targets::Classes(names, labels))
    }

    /// How a column is standardised: by the samples to train on.
    fn scale(&self, name: &str, numbers: &[f64]) -> Scale {
        let train: Vec<f64> = (0..numbers.len()).filter(|&row| self.has(false, row)).map(|row| numbers[row]).collect();
        Scale::of(name, train.iter().copied())
    }

    /// Whether a row is one of the part that is tested on, or of the one that is trained on.
    fn has(&self, test: bool, row: usize) -> bool {
        self.is_test[row] == test || self.all[usize::from(test)]
    }

    fn split(
        &self,
        (places, scales): (&[usize], &[Scale]),
        targets: &Targets,
        options: &ReadOptions,
        test: bool,
    ) -> Result<Split> {
        let rows: Vec<usize> = (0..self.is_test.len()).filter(|&row| self.has(test, row)).collect();
        let width = self.features.len();
        let stored = |scales: &[Scale], at: &dyn Fn(usize, usize) -> f64| -> Result<Vec<u8>> {
            let places = rows.iter().flat_map(|&row| scales.iter().enumerate().map(move |(c, scale)| (row, c, scale)));
            let bytes = places.map(|(row, c, scale)| Ok(standardised(scale, at(row, c))?.to_le_bytes()));
            Ok(bytes.collect::<Result<Vec<_>>>()?.into_flattened())
        };
        let features = stored(scales, &|row, c| self.rows.features[row * width + places[c]])?;
        let features = Column::new(Field::table(FEATURES, scales.to_vec()), features)?;
        let target = match targets {
            Targets::Numbers(numbers) => {
                let scales: Vec<Scale> = match options.target_scales {
                    [] => self.targets.iter().zip(numbers).map(|(name, numbers)| self.scale(name, numbers)).collect(),
                    known => known.to_vec(),
                };
                let bytes = stored(&scales, &|row, c| numbers[c][row])?;
                Column::new(Field::table(NUMBERS, scales), bytes)?
            }
            Targets::Answers(answers) => {
                let bytes = rows.iter().flat_map(|&row| answers.iter().map(move |column| column[row])).collect();
                Column::new(Field::answers(answers.len()), bytes)?
            }
            Targets::Classes(_, labels) => Labels::narrow(rows.iter().map(|&row| labels[row]).collect()).column(&[])?,
        };
        Split::of(vec![features, target])
    }
}

/// A number as it is stored.
fn standardised(scale: &Scale, number: f64) -> Result<f32> {
    let Scale { name, mean, deviation } = scale;
    match scale.standardised(number) {
        x if x.is_finite() => Ok(x),
        _ => Err(Error::input(format!(
            "column {name}: found {number:e}, but the training samples have the mean {mean:e} and the deviation {deviation:e}: \
             expected numbers of a size that single precision holds"
        ))),
    }
}

/// A finite number.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A yes or a no.
fn answer(text: &str) -> Option<u8> {
    match &*text.to_ascii_lowercase() {
        "true" | "yes" => Some(1),
        "false" | "no" => Some(0),
        other => [0u8, 1].into_iter().find(|answer| number(other) == Some(f64::from(*answer))),
    }
}

/// The first of these names, and how many there are.
pub(super) fn listed(names: &[impl AsRef<str>]) -> String {
    const NAMED: usize = 8;
    let named = names.iter().take(NAMED).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > NAMED { format!("{named} and {} more", names.len() - NAMED) } else { named }
}
