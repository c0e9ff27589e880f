//! The model file: strict TOML, read with the line of whatever is wrong.

mod normalise;

use crate::error::{Error, Result, in_context};
use crate::model::layers::keys::{Key, Kind, Value, one_of, padding};
use crate::model::layers::{Input, LARGEST, LayerEntry, TYPES, named};
use crate::model::{MOST_LAYERS, Model, Task, too_many};
use crate::suggest;
use crate::text::{Tokenizer, Unit};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The tokens of a vocabulary where there is no data: as many as bytes.
pub const TOKENS: usize = 256;

/// The key that names an earlier result which a layer looks at besides the one before it.
const MEMORY: &str = "memory";

/// The key that names the results which a layer joins, in their order.
const OF: &str = "of";

/// The most copies of a layer.
const MOST_COPIES: usize = 1000;

/// What `state` may be.
const STATE: &str = "the name of an earlier gru, lstm or rnn";

/// What `tied` may be.
const TIED: &str = "the name of an earlier embedding";

/// The most bytes that a model file may have.
pub const LARGEST_FILE_BYTES: u64 = 1 << 20;

impl Model {
    /// The model that a file describes, named by the file's stem.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that cannot be read or is larger than [`LARGEST_FILE_BYTES`], and as
    /// [`Model::from_toml`].
    pub fn from_toml_file(path: &Path) -> Result<Self> {
        Model::from_toml_file_for(path, None)
    }

    /// [`Model::from_toml_file`] for data with vocabularies of these sizes, of sources and targets, if it is text.
    pub(crate) fn from_toml_file_for(path: &Path, vocabulary: Option<[usize; 2]>) -> Result<Self> {
        let file = path.display().to_string();
        let unreadable = |why: &dyn std::fmt::Display| Error::input(format!("{file}: cannot be read: {why}"));
        let text = crate::files::read_text(path, LARGEST_FILE_BYTES).map_err(|e| unreadable(&e))?;
        let name = path.file_stem().map_or_else(|| file.clone(), |stem| stem.to_string_lossy().into_owned());
        Model::from_toml_for(&text, &file, &name, vocabulary)
    }

    /// The model that `text` describes, with the default normalisation and no class names; `file` is what
    /// messages call the text.
    ///
    /// # Errors
    /// [`Error::Input`] with the line of malformed TOML, unknown or missing keys, values of another type or
    /// out of range, and layers that do not fit; and where [`Model::check`] fails.
    pub fn from_toml(text: &str, file: &str, name: &str) -> Result<Self> {
        Model::from_toml_for(text, file, name, None)
    }

    /// [`Model::from_toml`] for data with vocabularies of these sizes, of sources and targets; without data they are
    /// [`TOKENS`].
    fn from_toml_for(text: &str, file: &str, name: &str, vocabulary: Option<[usize; 2]>) -> Result<Self> {
        let [read, written] = vocabulary.unwrap_or([TOKENS; 2]);
        let mut source = Source { text, file, vocabulary: read, places: None };
        let document = DeTable::parse(text)
            .map_err(|error| source.error(error.span().unwrap_or(0..0), &error.message().replace('\n', " ")))?;
        let root = Section { source, table: document.get_ref(), at: 0..0, name: "the model".into() };
        root.only(&["input", "inputs", "normalise", "layers"])?;
        let length = root.length()?;
        source.places = length;
        let input = length.map_or_else(|| root.sizes("input"), |length| Ok(vec![length]))?;
        if ![1, 3].contains(&input.len()) {
            let expected = "[height, width, channels] of images, [columns] of a table or { tokens = N } of a text";
            return Err(root.wrong("input", expected));
        }
        let (inputs, normalise) = (root.inputs()?, root.normalise()?);
        let listed = root.required("layers")?.get_ref().as_array();
        let listed = listed.ok_or_else(|| root.wrong("layers", "a list, each entry begun by [[layers]]"))?;
        if listed.len() > MOST_LAYERS {
            return Err(root.error(root.at.clone(), &too_many(listed.len())));
        }
        let whole = input.to_vec();
        let (mut layers, mut shapes, mut names) = (Vec::new(), Vec::<Vec<usize>>::new(), BTreeMap::new());
        for entry in listed.iter() {
            let index = layers.len();
            let Some(table) = entry.get_ref().as_table() else {
                return Err(root.wrong("layers", "a list of tables, each begun by [[layers]]"));
            };
            let mut section = Section { source, table, at: entry.span(), name: format!("layer {index}") };
            let (layer, repeat) = (section.layer(&names)?, section.repeat()?);
            // What comes after the second input knows the tokens of that one.
            if layer.is::<Input>() {
                source.vocabulary = written;
                source.places = length.map(Input::places);
            }
            if let Some(name) = section.given_name(&names)? {
                names.insert(name, index + repeat - 1);
            }
            for (index, layer) in (index..).zip(layer.repeated(repeat)) {
                let inferred = layer.inputs(index, &whole, &shapes).and_then(|inputs| {
                    let inputs: Vec<&[usize]> = inputs.into_iter().map(|shape| &shape[..]).collect();
                    layer.infer(index, &inputs)
                });
                shapes.push(inferred.map_err(|e| source.error(entry.span(), &e.to_string()))?.shape);
                layers.push(layer);
            }
        }
        let text = length.map(|_| Tokenizer::known(Unit::default(), Vec::new()));
        let is_next = text.is_some() && shapes.last().is_some_and(|shape| shape.len() == 2);
        let task = if is_next { Task::Next } else { Task::default() };
        let model = Model { name: name.into(), input, layers, inputs, normalise, text, task, ..Model::default() };
        model.check().map_err(|error| in_context(file, error))?;
        Ok(model)
    }

    /// The model file of this model's input and layers. A layer of an application's own appears by its name alone, and
    /// cannot be read again.
    pub fn to_toml(&self) -> String {
        let mut text = match self.text {
            Some(_) => format!("input = {{ tokens = {} }}\n", self.input[0]),
            None => format!("input = {:?}\n", self.input),
        };
        if !self.inputs.is_empty() {
            let _ = writeln!(text, "inputs = {:?}", self.inputs);
        }
        text += &self.normalise.as_ref().map_or(String::new(), normalise::written);
        let written = |place: usize| format!("\"layer {place}\"");
        let read =
            |layer: &LayerEntry| layer.from.iter().copied().chain(layer.state).chain(layer.tied).collect::<Vec<_>>();
        let named: HashSet<usize> = self.layers.iter().flat_map(read).collect();
        for (index, layer) in self.layers.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n[[layers]]\ntype = \"{}\"\n", layer.type_name());
            // Names that users gave are not kept, only what they stand for.
            if named.contains(&index) {
                let _ = writeln!(text, "name = {}", written(index));
            }
            if let Some((kind, values)) = layer.stored() {
                for (key, value) in kind.written(&values).into_iter().filter(|(key, _)| !key.hidden) {
                    let _ = writeln!(text, "{} = {value}", key.name);
                }
            }
            let is_memory =
                layer.joins() && layer.stored().is_some_and(|(kind, _)| kind.keys.iter().any(|key| key.name == MEMORY));
            if let Some(module) = &layer.module {
                let _ = writeln!(text, "module = \"{module}\"");
            }
            let of = if layer.alone { OF } else { "from" };
            let _ = match layer.from[..] {
                [] => Ok(()),
                [from] if is_memory => writeln!(text, "{MEMORY} = {}", written(from)),
                [from] => writeln!(text, "{of} = {}", written(from)),
                _ => {
                    let from: Vec<String> = layer.from.iter().copied().map(written).collect();
                    writeln!(text, "{of} = [{}]", from.join(", "))
                }
            };
            if let Some(state) = layer.state {
                let _ = writeln!(text, "state = {}", written(state));
            }
            if let Some(tied) = layer.tied {
                let _ = writeln!(text, "tied = {}", written(tied));
            }
        }
        text
    }
}

#[derive(Clone, Copy)]
struct Source<'a> {
    text: &'a str,
    file: &'a str,
    vocabulary: usize,
    places: Option<usize>,
}

impl Source<'_> {
    fn error(&self, at: Range<usize>, why: &str) -> Error {
        let line = 1 + self.text.bytes().take(at.start).filter(|byte| *byte == b'\n').count();
        Error::input(format!("{}: line {line}: {why}", self.file))
    }
}

/// One table of the file: the root or a layer.
struct Section<'a> {
    source: Source<'a>,
    table: &'a DeTable<'a>,
    at: Range<usize>,
    name: String,
}

impl<'a> Section<'a> {
    fn error(&self, at: Range<usize>, why: &str) -> Error {
        self.source.error(at, &format!("{}: {why}", self.name))
    }

    /// The error that the value of `key` is not what is expected.
    fn wrong(&self, key: &str, expected: &str) -> Error {
        match self.table.get(key) {
            Some(value) => {
                let found = describe(value.get_ref());
                self.error(value.span(), &format!("found {key} = {found}, expected {expected}"))
            }
            None => self.error(self.at.clone(), &format!("found no key {key}, expected {expected}")),
        }
    }

    fn only(&self, known: &[&str]) -> Result<()> {
        let unknown = self.table.keys().filter(|key| !known.contains(&&**key.get_ref()));
        match unknown.min_by_key(|key| key.span().start) {
            None => Ok(()),
            Some(key) => {
                let found = key.get_ref();
                let hint = suggest::hint(found, known.iter().copied());
                let why = format!("found unknown key {}, expected {}{hint}", shorten(found), known.join(", "));
                Err(self.error(key.span(), &why))
            }
        }
    }

    fn required(&self, key: &str) -> Result<&'a Spanned<DeValue<'a>>> {
        self.table.get(key).ok_or_else(|| self.wrong(key, "it to be there"))
    }

    fn layer(&mut self, names: &BTreeMap<String, usize>) -> Result<LayerEntry> {
        let known: Vec<&str> = TYPES.iter().map(|kind| kind.name).collect();
        let types = one_of(&known);
        let found = self.table.get("type").and_then(|kind| kind.get_ref().as_str());
        let found = found.ok_or_else(|| self.wrong("type", &types))?;
        let kind = named(found)
            .ok_or_else(|| self.wrong("type", &format!("{types}{}", suggest::hint(found, known.iter().copied()))))?;
        self.name = format!("{} ({found})", self.name);
        let keys = kind.keys.iter().filter(|key| !key.hidden).map(|key| key.name);
        // Recurrences alone have a state, and dense layers a weight that may be tied: that is looked at with the whole model.
        let more = ["repeat", "state", "tied", OF].into_iter().filter(|key| self.table.contains_key(*key));
        // What looks at another result besides the one before it reads no other.
        let has_memory = kind.keys.iter().any(|key| key.name == MEMORY);
        let memory = has_memory.then_some(MEMORY);
        let from = (memory.is_none() || !self.table.contains_key(MEMORY)).then_some("from");
        let reads = from.into_iter().chain(memory).chain(["name", "module"]);
        self.only(&["type"].into_iter().chain(keys).chain(reads).chain(more).collect::<Vec<_>>())?;
        let values = kind.keys.iter().map(|key| self.value(key)).collect::<Result<Vec<_>>>()?;
        let expected = || self.error(self.at.clone(), "its keys give no layer");
        let layer = kind.make(&values).ok_or_else(expected)?;
        if let Some(memory) = self.table.get(MEMORY) {
            let place = self.place(MEMORY, memory.get_ref(), names, "the name of an earlier layer")?;
            let looking = LayerEntry::from_arc(layer).with(MEMORY, Value::Flag(true)).ok_or_else(expected)?;
            let module = self.module()?;
            return Ok(LayerEntry { module, ..looking.reading([place]) });
        }
        let alone = self.table.contains_key(OF);
        if alone && (!layer.joins() || self.table.contains_key("from")) {
            return Err(self.wrong(OF, "it in place of `from`, in a layer that joins results"));
        }
        let from = match (self.table.contains_key("from") || layer.joins(), alone) {
            (_, true) => self.earlier(OF, names)?,
            (true, false) => self.earlier("from", names)?,
            (false, false) => Vec::new(),
        };
        let state =
            self.table.get("state").map(|state| self.place("state", state.get_ref(), names, STATE)).transpose()?;
        let tied = self.table.get("tied").map(|tied| self.place("tied", tied.get_ref(), names, TIED)).transpose()?;
        let module = self.module()?;
        Ok(LayerEntry { layer, from, state, tied, alone, module })
    }

    /// The name of a PyTorch module, where it is given.
    fn module(&self) -> Result<Option<String>> {
        let Some(found) = self.table.get("module") else { return Ok(None) };
        let name = found.get_ref().as_str().filter(|_| !self.table.contains_key("repeat"));
        let expected = "the name of one PyTorch module, of one layer";
        name.map(|name| Some(name.to_owned())).ok_or_else(|| self.wrong("module", expected))
    }

    /// How many times the layer comes, one after the other.
    fn repeat(&self) -> Result<usize> {
        let Some(found) = self.table.get("repeat").map(Spanned::get_ref) else { return Ok(1) };
        let wrong = || self.wrong("repeat", &format!("a whole number from 1 to {MOST_COPIES}"));
        whole(found).filter(|count| *count <= MOST_COPIES).ok_or_else(wrong)
    }

    /// The value of a key; none if the default is to be taken.
    fn value(&self, key: &Key) -> Result<Option<Value>> {
        if key.hidden {
            return Ok(None);
        }
        let wrong = || self.wrong(key.name, &key.kind.expected());
        let Some(found) = self.table.get(key.name).map(Spanned::get_ref) else {
            let vocabulary = key.vocabulary.then_some(self.source.vocabulary);
            let context = self.source.places.filter(|_| key.context && self.table.contains_key("positions"));
            return if key.required { Err(wrong()) } else { Ok(vocabulary.or(context).map(Value::Size)) };
        };
        let value = match key.kind {
            Kind::Size if found.as_str() == Some("vocabulary") => Some(Value::Size(self.source.vocabulary)),
            Kind::Size => whole(found).map(Value::Size),
            Kind::Count => count(found).map(Value::Size),
            Kind::Pair => match found {
                DeValue::Array(_) => self.sizes(key.name).ok().and_then(|sizes| sizes.try_into().ok()).map(Value::Pair),
                _ => whole(found).map(|size| Value::Pair([size; 2])),
            },
            Kind::Number(_) => number(found).map(Value::Number),
            Kind::Single(_) => number(found).map(Value::Single),
            Kind::Choice(words) => {
                words.iter().find(|word| found.as_str() == Some(word)).map(|word| Value::Choice(word))
            }
            Kind::Flag => found.as_bool().map(Value::Flag),
            Kind::Padding => {
                let numbers: Option<Vec<usize>> = match found {
                    DeValue::String(_) => Some(Vec::new()),
                    DeValue::Array(list) => list.iter().map(|n| count(n.get_ref())).collect(),
                    one => count(one).map(|n| vec![n]),
                };
                numbers.and_then(|numbers| padding(found.as_str(), &numbers)).map(Value::Padding)
            }
        };
        value.filter(|&value| key.kind.check(key.name, value).is_ok()).map(Some).ok_or_else(wrong)
    }

    /// The tokens of a text, `input = { tokens = N }`; none if the input is another.
    fn length(&self) -> Result<Option<usize>> {
        let Some(table) = self.table.get("input").and_then(|value| value.get_ref().as_table()) else { return Ok(None) };
        let length = (table.len() == 1).then(|| table.get("tokens").and_then(|value| whole(value.get_ref()))).flatten();
        length.map(Some).ok_or_else(|| self.wrong("input", "{ tokens = N }, with the most tokens of a sample"))
    }

    /// The names of the fields that the model reads, where they are given.
    fn inputs(&self) -> Result<Vec<String>> {
        let Some(value) = self.table.get("inputs") else { return Ok(Vec::new()) };
        let list = value.get_ref().as_array();
        let names: Option<Vec<String>> =
            list.and_then(|list| list.iter().map(|name| name.get_ref().as_str().map(str::to_owned)).collect());
        names.filter(|names| names.len() == 1).ok_or_else(|| self.wrong("inputs", "a list of the name of one field"))
    }

    /// The name of a layer, which no earlier layer may have.
    fn given_name(&self, names: &BTreeMap<String, usize>) -> Result<Option<String>> {
        let Some(value) = self.table.get("name") else { return Ok(None) };
        match value.get_ref().as_str() {
            Some(name) if !name.is_empty() && !names.contains_key(name) => Ok(Some(name.into())),
            _ => Err(self.wrong("name", "a text that names no layer before")),
        }
    }

    /// Places of the earlier layers whose names the value of `key` says: one, or a list of them.
    fn earlier(&self, key: &str, names: &BTreeMap<String, usize>) -> Result<Vec<usize>> {
        let expected = "the name of an earlier layer, or a list of such names";
        let found = match self.table.get(key).map(Spanned::get_ref) {
            Some(DeValue::Array(list)) if !list.is_empty() => list.iter().map(Spanned::get_ref).collect(),
            Some(DeValue::Array(_)) | None => return Err(self.wrong(key, expected)),
            Some(one) => vec![one],
        };
        found.into_iter().map(|found| self.place(key, found, names, expected)).collect()
    }

    /// The place of the earlier layer of a name, the value of `key`.
    fn place(&self, key: &str, found: &DeValue, names: &BTreeMap<String, usize>, expected: &str) -> Result<usize> {
        let hint =
            found.as_str().map_or(String::new(), |found| suggest::hint(found, names.keys().map(|name| &name[..])));
        let place = found.as_str().and_then(|found| names.get(found)).copied();
        place.ok_or_else(|| self.wrong(key, &format!("{expected}{hint}")))
    }

    /// A list of sizes.
    fn sizes(&self, key: &str) -> Result<Vec<usize>> {
        let list = self.table.get(key).and_then(|value| value.get_ref().as_array());
        let sizes: Option<Vec<usize>> = list.and_then(|list| list.iter().map(|size| whole(size.get_ref())).collect());
        sizes.ok_or_else(|| self.wrong(key, &format!("a list of whole numbers from 1 to {LARGEST}")))
    }
}

/// A number, as its type reads it.
fn number<F: std::str::FromStr>(value: &DeValue) -> Option<F> {
    let text = match value {
        DeValue::Float(number) => number.as_str(),
        other => other.as_integer()?.as_str(),
    };
    text.replace('_', "").parse().ok()
}

/// A whole number from 1 to `LARGEST`.
fn whole(value: &DeValue) -> Option<usize> {
    count(value).filter(|size| *size > 0)
}

/// A whole number from 0 to `LARGEST`.
fn count(value: &DeValue) -> Option<usize> {
    let number = value.as_integer()?;
    let number = i128::from_str_radix(number.as_str(), number.radix()).ok()?;
    usize::try_from(number).ok().filter(|size| *size <= LARGEST)
}

/// A value as a message shows it.
fn describe(value: &DeValue) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", shorten(text)),
        DeValue::Integer(number) => shorten(&number.to_string()),
        DeValue::Float(number) => shorten(&number.to_string()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(value) => value.to_string(),
        DeValue::Array(list) if list.len() <= 4 => {
            let items: Vec<String> = list.iter().map(|item| shorten(&describe(item.get_ref()))).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Array(list) => format!("a list of {}", list.len()),
        DeValue::Table(_) => "a table".into(),
    }
}

/// At most 60 letters of a text, on one line.
fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string().replace("\\\"", "\"")
}
