//! CSV that lists picture files and their classes: a column of names or paths, a column of labels, and perhaps one of parts.

use crate::counted::counted;
use crate::data::formats::held_out::HELD_OUT;
use crate::data::formats::labelled::{Item, Labelled};
use crate::data::formats::parts::{TEST, TRAIN, VALIDATION};
use crate::data::formats::records::Records;
use crate::data::formats::table::number;
use crate::data::source::{Source, file_name};
use crate::data::{Dataset, MOST_CLASSES, ReadOptions};
use crate::error::{Error, Result};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Names of the column of files, and of that of labels, without capitals and underscores.
const FILE: &[&str] = &[
    "filename",
    "filenames",
    "file",
    "files",
    "filepath",
    "path",
    "paths",
    "image",
    "images",
    "imageid",
    "imagename",
    "imagepath",
    "imagefile",
    "img",
    "imgname",
    "imgpath",
    "picture",
    "photo",
    "id",
];
const LABEL: &[&str] =
    &["label", "labels", "labelname", "class", "classes", "classname", "classid", "category", "target", "y"];
/// Names of the column of parts: train, val, test.
const PART: &[&str] = &["split", "subset", "set", "part", "partition", "fold", "dataset"];
/// Folders beside the file that the pictures may be in.
const FOLDERS: &[&str] = &["", "images", "train", "img", "imgs", "image", "train_images", "pictures", "photos", "data"];
/// Ends that a name may be without.
const ENDS: &[&str] = &["", ".jpg", ".png", ".jpeg", ".JPG", ".webp", ".tif", ".bmp"];

/// A file's samples: the path of each, the number of its label, and its part.
struct Listed {
    rows: Vec<(PathBuf, usize, usize)>,
    /// The labels, in the order in which they were found.
    names: Vec<String>,
    bad: Vec<String>,
    notices: Vec<String>,
}

/// The places of the columns, and whether the first line has their names.
struct Columns {
    file: usize,
    label: usize,
    part: Option<usize>,
    named: bool,
}

/// Reads `train`, and `test` if there is one, where they are lists of files; else gives nothing.
///
/// # Errors
/// [`Error::Input`] that names the file and the line, for a list without a single column of labels and for lines that
/// differ in length; where no file is there or there are not two classes; and those of folders of images.
pub(super) fn read(path: &Path, [train, test]: [Option<&Path>; 2], options: &ReadOptions) -> Result<Option<Dataset>> {
    let Some(first) = train else { return Ok(None) };
    let Some(mut listed) = list(first, options, &["", "train"])? else { return Ok(None) };
    if let Some(second) = test {
        let missing = || Error::input(format!("{}: expected a list of files as {}", second.display(), first.display()));
        let more = list(second, options, &["", "test"])?.ok_or_else(missing)?;
        for (path, label, _) in more.rows {
            let name = &more.names[label];
            let at = listed.names.iter().position(|known| known == name).unwrap_or(listed.names.len());
            if at == listed.names.len() {
                listed.names.push(name.clone());
            }
            listed.rows.push((path, at, 2));
        }
        listed.bad.extend(more.bad);
        listed.notices.extend(more.notices);
    }
    let place = path.display().to_string();
    if listed.rows.is_empty() {
        let why = listed.bad.first().map_or(String::new(), |why| format!(": {why}"));
        return Err(Error::input(format!("{place}: found none of the files that it lists{why}")));
    }
    let are_known =
        options.tests_alone && listed.names.iter().all(|name| options.class_names.iter().any(|known| known == name));
    let classes = if are_known { options.class_names.to_vec() } else { sorted(&listed.names) };
    if let [only] = &classes[..] {
        let why = format!("found the label {only} on every line, expected 2 to {MOST_CLASSES} classes");
        return Err(Error::input(format!("{place}: {why}")));
    }
    if !(2..=MOST_CLASSES).contains(&classes.len()) {
        let found = classes.len();
        return Err(Error::input(format!(
            "{place}: found {found} classes in the labels, expected 2 to {MOST_CLASSES}"
        )));
    }
    let of: HashMap<&str, u16> = (0..).zip(&classes).map(|(label, name)| (&**name, label)).collect();
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for (path, label, part) in listed.rows {
        let label = of.get(&*listed.names[label]).copied().unwrap_or_default();
        parts[part].push(Item { path, label });
    }
    let [train, validation, test] = parts;
    let mut notices = listed.notices;
    let (validation, test) = match (validation.is_empty(), test.is_empty()) {
        (true, true) => {
            if !(options.tests_alone || options.train_alone) {
                notices.push(format!(
                    "{place} has no test part: one image in {HELD_OUT} of each class is held out for testing"
                ));
            }
            (None, None)
        }
        // Without tests the validation images are what is tested on.
        (false, true) => (None, Some(validation)),
        (true, false) => (None, Some(test)),
        (false, false) => {
            notices.push(format!(
                "{place}: each epoch is validated on the part val; the part test is used once, at the end"
            ));
            (Some(("val".to_owned(), validation)), Some(test))
        }
    };
    let root = first.parent().unwrap_or(first);
    let (name, bad) = (file_name(path), listed.bad);
    Labelled { name, place, root, classes, train, validation, test, bad, notices }.read(options).map(Some)
}

/// Names in their order: numbers by their size, others by the alphabet.
fn sorted(names: &[String]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect();
    if names.iter().all(|name| number(name).is_some()) {
        names.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
    }
    names
}

/// The lines of a file that lists files; nothing where it holds something else.
fn list(path: &Path, options: &ReadOptions, within: &[&str]) -> Result<Option<Listed>> {
    let shown = path.display();
    let bytes = Source::open(path)?.bytes;
    crate::memory::check_free(bytes.saturating_mul(2), &format!("{shown}: its contents take"), "less may fit")?;
    let mut records = Records::open(path)?;
    let separated = records.notice();
    let mut record = csv::ByteRecord::new();
    let mut records = std::iter::from_fn(|| {
        let line = records.read(&mut record).transpose()?;
        let field = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
        Some(line.map(|line| (line, record.iter().map(field).collect::<Vec<String>>())))
    });
    let (Some(first), second) = (records.next().transpose()?, records.next()) else { return Ok(None) };
    let second = match second {
        // Other formats say of their own what is wrong with a line.
        Some(Err(_)) | None => return Ok(None),
        Some(Ok(second)) => second,
    };
    let mut places = Places::new(path, within);
    let Some(columns) = Columns::of(path, &first.1, &second.1, options, &mut places)? else { return Ok(None) };
    let mut notices = Vec::from_iter(separated);
    if columns.named {
        let names = &first.1;
        notices.push(format!("{shown}: {} are files, {} are their labels", names[columns.file], names[columns.label]));
    }
    let mut listed = Listed { rows: Vec::new(), names: Vec::new(), bad: Vec::new(), notices };
    let (mut known, mut seen, mut repeated) = (HashMap::new(), HashMap::new(), 0);
    let first = Some(first).filter(|_| !columns.named).map(Ok);
    for record in first.into_iter().chain(std::iter::once(Ok(second))).chain(records) {
        let (line, fields) = record?;
        let [name, label] = [columns.file, columns.label].map(|column| &*fields[column]);
        let wrong = |why: &str| format!("{shown}, line {line}: {why}");
        if label.is_empty() {
            listed.bad.push(wrong("found no label"));
            continue;
        }
        let part = match columns.part.map(|column| &*fields[column]) {
            None => 0,
            Some(part) => {
                let is = |names: &&[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(part));
                let found = [TRAIN, VALIDATION, TEST].iter().position(is);
                found.ok_or_else(|| {
                    Error::input(wrong(&format!(
                        "found the part '{}', expected train, val or test",
                        part.escape_debug()
                    )))
                })?
            }
        };
        let Some(file) = places.find(name) else {
            let shown: String = name.chars().take(80).collect();
            listed.bad.push(wrong(&format!("found no file {}", shown.escape_debug())));
            continue;
        };
        let next = known.len();
        let label = *known.entry(label.to_owned()).or_insert(next);
        match seen.insert(file.clone(), label) {
            None => listed.rows.push((file, label, part)),
            Some(other) if other == label => repeated += 1,
            Some(_) => listed.bad.push(wrong(&format!("found {name} again with another label"))),
        }
    }
    if repeated > 0 {
        listed.notices.push(format!("{shown}: {} left out", counted(repeated, "repeated line")));
    }
    let mut names: Vec<(usize, String)> = known.into_iter().map(|(name, at)| (at, name)).collect();
    names.sort_unstable();
    listed.names = names.into_iter().map(|(_, name)| name).collect();
    Ok(Some(listed))
}

impl Columns {
    /// The columns of a list of files by its first two lines; nothing where it is none.
    fn of(
        path: &Path,
        first: &[String],
        second: &[String],
        options: &ReadOptions,
        places: &mut Places,
    ) -> Result<Option<Columns>> {
        let shown = path.display();
        let is = |names: &[&str], name: &str| {
            let name: String = name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
            names.contains(&&*name)
        };
        // Without names, two columns of which one has names of pictures.
        if let ([file, _], true) = (first, options.targets.is_empty())
            && is_picture(file)
        {
            return Ok(Some(Columns { file: 0, label: 1, part: None, named: false }));
        }
        let named = |names: &[&str]| names.iter().find_map(|name| first.iter().position(|field| is(&[name], field)));
        let Some(file) = named(FILE).filter(|_| second.len() == first.len()) else { return Ok(None) };
        let value = &second[file];
        let is_there = is_picture(value) || places.find(value).is_some();
        // Names without a file are reported, unless a table may have a column of that name.
        let may_be = options.targets.is_empty() && first.len() <= 3 && number(value).is_none() && !value.is_empty();
        if options.ignored.contains(&first[file]) || !(is_there || may_be) {
            return Ok(None);
        }
        let columns = |label| {
            let part = named(PART).filter(|part| *part != label && *part != file);
            // Numbers of folds are no parts.
            let part = part.filter(|part| number(&second[*part]).is_none());
            Some(Columns { file, label, part, named: true })
        };
        let others: Vec<usize> = (0..first.len()).filter(|column| *column != file).collect();
        let names = |columns: &[usize]| {
            let few: Vec<&str> = columns.iter().take(6).map(|column| &*first[*column]).collect();
            few.join(", ") + if columns.len() > few.len() { ", …" } else { "" }
        };
        match options.targets {
            [] => {}
            [target] => match first.iter().position(|name| name == target.trim()) {
                Some(label) if label != file => return Ok(columns(label)),
                _ => {
                    let (found, file) = (names(&others), &first[file]);
                    let why =
                        format!("found the columns {found} besides the files in {file}, expected one named '{target}'");
                    return Err(Error::input(format!("{shown}: {why}")));
                }
            },
            several => {
                let (targets, file) = (several.join(", "), &first[file]);
                let why = format!("found files in the column {file}, expected one target for them, not {targets}");
                return Err(Error::input(format!("{shown}: {why}")));
            }
        }
        match (named(LABEL), &others[..]) {
            (Some(label), _) => Ok(columns(label)),
            (None, [label]) => Ok(columns(*label)),
            (None, _) => {
                let (found, file) = (names(&others), &first[file]);
                let one_hot = others.len() > 1 && others.iter().all(|column| number(&second[*column]).is_some());
                let hint = if one_hot {
                    format!("; of a column for each class, df.set_index(\"{file}\").idxmax(axis=1) makes one")
                } else {
                    String::new()
                };
                Err(Error::input(format!(
                    "{shown}: found files in the column {file} and the columns {found}, expected a column named label or class; \
                     --target COLUMN names another{hint}"
                )))
            }
        }
    }
}

/// Whether a text ends as the name of a picture does.
fn is_picture(name: &str) -> bool {
    let ends = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "gif", "ppm", "pgm", "qoi", "ico"];
    Path::new(name).extension().is_some_and(|end| ends.iter().any(|known| end.eq_ignore_ascii_case(known)))
}

/// Where the files of a list are.
struct Places {
    folders: Vec<PathBuf>,
    /// The folder and the end by which the last one was found.
    last: (usize, usize),
}

impl Places {
    /// The places for the files of the list `path`, whose part may be the name of a folder.
    fn new(path: &Path, parts: &[&str]) -> Places {
        let beside = path.parent().unwrap_or(Path::new(""));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folders = parts.iter().chain([&&*stem]).chain(FOLDERS).map(|folder| beside.join(folder)).collect();
        Places { folders, last: (0, 0) }
    }

    /// The file of that name.
    fn find(&mut self, name: &str) -> Option<PathBuf> {
        if name.is_empty() {
            return None;
        }
        let name = if cfg!(windows) { name.to_owned() } else { name.replace('\\', "/") };
        let at = |(folder, end): (usize, usize)| self.folders[folder].join(format!("{name}{}", ENDS[end]));
        let all = (0..self.folders.len()).flat_map(|folder| (0..ENDS.len()).map(move |end| (folder, end)));
        let found = std::iter::once(self.last).chain(all).find(|place| at(*place).is_file())?;
        let path = at(found);
        self.last = found;
        Some(path)
    }
}
