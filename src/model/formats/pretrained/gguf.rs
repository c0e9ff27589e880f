//! GGUF, llama.cpp's files: metadata, the table of tensors, their bytes. Version 2 and 3, little endian.

use super::blocks::Kind;
use super::settings::Settings;
use super::tensors::Tensors;
use super::{Container, Found};
use crate::counted::human_bytes;
use crate::error::{Error, Result, in_context};
use crate::model::Weights;
use crate::model::formats::tensor::NamedTensor;
use crate::text::Tokenizer;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

const MARK: &[u8; 4] = b"GGUF";

/// The most entries, tensors and axes of a file, and the bytes of a name.
const MOST_ENTRIES: u64 = 1 << 16;
const MOST_AXES: u32 = 4;
const LONGEST_NAME: u64 = 1 << 16;

/// The most elements of an array, and arrays within arrays.
const LARGEST_ARRAY: u64 = 1 << 22;
const DEEPEST: usize = 2;

/// The bytes that tensors begin at multiples of, where the file does not say it.
const ALIGNMENT: u64 = 32;

/// Whether the file begins as one.
pub(super) fn is_gguf(path: &Path) -> bool {
    let mut mark = [0; 4];
    crate::files::open(path).and_then(|mut file| file.read_exact(&mut mark)).is_ok() && mark == *MARK
}

pub(super) fn read(path: &Path, tokenizer: Option<Tokenizer>) -> Result<Found> {
    open(path, tokenizer).map_err(|error| in_context(&path.display().to_string(), error))
}

fn open(path: &Path, tokenizer: Option<Tokenizer>) -> Result<Found> {
    let unreadable = |error: std::io::Error| Error::input(format!("it cannot be read: {error}"));
    let file = crate::files::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut reader = Reader { file: BufReader::new(file), at: 0, length };
    let header = reader.header()?;
    let (weights, converted) = reader.tensors(&header)?;
    let mut metadata = header.metadata;
    let tokenizer = tokenizer.map_or_else(|| tokens(&mut metadata), Ok)?;
    let Some(Value::String(kind)) = metadata.get("general.architecture").cloned() else {
        return Err(Error::input("found no general.architecture, expected the type of a model"));
    };
    // Settings of a net bear its type before their names.
    let prefix = format!("{kind}.");
    let own = metadata.into_iter().filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?.to_owned(), value)));
    let mut settings: Map<String, Value> = own.collect();
    settings.insert("model_type".into(), kind.into());
    settings.insert("tie_word_embeddings".into(), weights.get("output.weight").is_none().into());
    let settings = Settings::new(settings);
    let tensors = Tensors::new(weights, converted);
    Ok(Found { container: Container::Gguf, settings, tensors, tokenizer, notes: Vec::new() })
}

/// What comes before the bytes of the tensors.
struct Header {
    metadata: Map<String, Value>,
    tensors: Vec<Entry>,
    /// Where their bytes begin.
    start: u64,
}

/// A tensor of the table.
struct Entry {
    name: String,
    /// Outermost first.
    shape: Vec<usize>,
    kind: Kind,
    offset: u64,
    bytes: u64,
}

/// A file that is read in order; nothing is allocated by a size that the file itself does not have.
struct Reader {
    file: BufReader<File>,
    at: u64,
    length: u64,
}

impl Reader {
    fn bytes(&mut self, count: u64) -> Result<Vec<u8>> {
        if count > self.length - self.at {
            let (at, length) = (self.at, self.length);
            return Err(Error::input(format!("found {length} bytes, expected {count} more at {at}: the file is cut")));
        }
        let mut bytes = vec![0; count as usize];
        self.file.read_exact(&mut bytes).map_err(|error| Error::input(format!("it cannot be read: {error}")))?;
        self.at += count;
        Ok(bytes)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut number = [0; N];
        number.copy_from_slice(&self.bytes(N as u64)?);
        Ok(number)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.number()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.number()?))
    }

    fn count(&mut self, what: &str, most: u64) -> Result<u64> {
        let found = self.u64()?;
        match found <= most {
            true => Ok(found),
            false => Err(Error::input(format!("found {found} {what}, expected at most {most}"))),
        }
    }

    fn text(&mut self, most: u64) -> Result<String> {
        let length = self.count("bytes of a text", most)?;
        String::from_utf8(self.bytes(length)?)
            .map_err(|_| Error::input("found a text that is not UTF-8, expected UTF-8"))
    }

    /// A value of the metadata, by the number of its type.
    fn value(&mut self, kind: u32, depth: usize) -> Result<Value> {
        Ok(match kind {
            0 => self.number::<1>()?[0].into(),
            1 => i8::from_le_bytes(self.number()?).into(),
            2 => u16::from_le_bytes(self.number()?).into(),
            3 => i16::from_le_bytes(self.number()?).into(),
            4 => self.u32()?.into(),
            5 => i32::from_le_bytes(self.number()?).into(),
            // The shortest decimal number, as its writer meant it.
            6 => f32::from_le_bytes(self.number()?).to_string().parse::<f64>().unwrap_or(f64::NAN).into(),
            7 => (self.number::<1>()?[0] != 0).into(),
            8 => self.text(self.length)?.into(),
            9 if depth < DEEPEST => {
                let of = self.u32()?;
                let count = self.count("elements of an array", LARGEST_ARRAY)?;
                let mut all = Vec::new();
                for _ in 0..count {
                    all.push(self.value(of, depth + 1)?);
                }
                all.into()
            }
            10 => self.u64()?.into(),
            11 => i64::from_le_bytes(self.number()?).into(),
            12 => f64::from_le_bytes(self.number()?).into(),
            _ => return Err(Error::input(format!("found a value of type {kind} in the metadata, expected 0 to 12"))),
        })
    }

    fn header(&mut self) -> Result<Header> {
        let mark = self.number::<4>()?;
        let version = self.u32()?;
        if mark != *MARK || !(2..=3).contains(&version) {
            return Err(Error::input(format!("found version {version} of a GGUF file, expected 2 or 3")));
        }
        let tensors = self.count("tensors", MOST_ENTRIES)?;
        let entries = self.count("entries of metadata", MOST_ENTRIES)?;
        let mut metadata = Map::new();
        for _ in 0..entries {
            let name = self.text(LONGEST_NAME)?;
            let kind = self.u32()?;
            let value = self.value(kind, 0).map_err(|error| in_context(&name.escape_debug().to_string(), error))?;
            metadata.insert(name, value);
        }
        let mut table = Vec::new();
        for _ in 0..tensors {
            table.push(self.entry()?);
        }
        let alignment = metadata.get("general.alignment").and_then(Value::as_u64).unwrap_or(ALIGNMENT);
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(Error::input(format!("general.alignment: found {alignment}, expected a power of 2")));
        }
        Ok(Header { metadata, tensors: table, start: self.at.next_multiple_of(alignment) })
    }

    fn entry(&mut self) -> Result<Entry> {
        let name = self.text(LONGEST_NAME)?;
        let wrong = |why: String| Error::input(format!("tensor {}: {why}", name.escape_debug()));
        let axes = self.u32()?;
        if !(1..=MOST_AXES).contains(&axes) {
            return Err(wrong(format!("found {axes} axes, expected 1 to {MOST_AXES}")));
        }
        let mut sizes = Vec::new();
        for _ in 0..axes {
            sizes.push(self.u64()?);
        }
        let number = self.u32()?;
        let kind = Kind::of(number).ok_or_else(|| {
            wrong(format!("found type {number} of quantisation, expected F32, F16, Q4_0, Q4_1 or Q8_0: convert it"))
        })?;
        let values = sizes.iter().try_fold(1u64, |all, &size| all.checked_mul(size)).filter(|all| *all > 0);
        // A row is made of whole blocks.
        let whole = kind.bytes(sizes[0]).and(values.and_then(|values| kind.bytes(values)));
        let bytes =
            whole.ok_or_else(|| wrong(format!("found sizes {sizes:?} of {}, expected whole blocks", kind.name())))?;
        let offset = self.u64()?;
        let shape = sizes.iter().rev().map(|&size| size as usize).collect();
        Ok(Entry { name, shape, kind, offset, bytes })
    }

    /// The tensors as single precision, and how many of each other type there were.
    fn tensors(&mut self, header: &Header) -> Result<(Weights, BTreeMap<String, usize>)> {
        let floats = |entry: &Entry| entry.shape.iter().map(|&size| size as u64).product::<u64>().saturating_mul(4);
        let all = header.tensors.iter().fold(0u64, |all, entry| all.saturating_add(floats(entry)));
        crate::memory::check_free(all, "its weights take", "a smaller model may fit")?;
        let (mut tensors, mut converted) = (Vec::new(), BTreeMap::new());
        for entry in &header.tensors {
            let end = header.start.checked_add(entry.offset).and_then(|at| at.checked_add(entry.bytes));
            let at = end.filter(|end| *end <= self.length).map(|end| end - entry.bytes).ok_or_else(|| {
                let (name, length) = (entry.name.escape_debug(), human_bytes(self.length));
                Error::input(format!("tensor {name}: found {length} in the file, expected more: the file is cut"))
            })?;
            self.file.seek(SeekFrom::Start(at)).map_err(|e| Error::input(format!("it cannot be read: {e}")))?;
            self.at = at;
            let values = entry.kind.values(&self.bytes(entry.bytes)?);
            if entry.kind != Kind::F32 {
                *converted.entry(entry.kind.name().to_owned()).or_default() += 1;
            }
            tensors.push(NamedTensor { name: entry.name.clone(), shape: entry.shape.clone(), values });
        }
        Ok((Weights::new(tensors), converted))
    }
}

/// The tokenizer of the metadata, which is taken out of it.
fn tokens(metadata: &mut Map<String, Value>) -> Result<Tokenizer> {
    const OTHERWISE: &str = "give its tokenizer.json with --tokenizer";
    let word = |name: &str| metadata.get(name).and_then(Value::as_str).unwrap_or("nothing").to_owned();
    let (model, split) = (word("tokenizer.ggml.model"), word("tokenizer.ggml.pre"));
    if model != "gpt2" {
        let found = crate::printable::printable(&model).into_owned();
        return Err(Error::input(format!(
            "tokenizer.ggml.model: found {found}, expected gpt2, a byte-level BPE; {OTHERWISE}"
        )));
    }
    let digits = match &*split {
        "gpt-2" | "default" | "nothing" => false,
        "smollm" => true,
        other => {
            let found = crate::printable::printable(other).into_owned();
            return Err(Error::input(format!(
                "tokenizer.ggml.pre: found {found}, expected gpt-2 or smollm; {OTHERWISE}"
            )));
        }
    };
    let texts = |metadata: &mut Map<String, Value>, name: &str| -> Result<Vec<String>> {
        let found = metadata.remove(name).map(serde_json::from_value::<Vec<String>>);
        found.and_then(std::result::Result::ok).ok_or_else(|| Error::input(format!("{name}: expected a list of texts")))
    };
    let tokens = texts(metadata, "tokenizer.ggml.tokens")?;
    let merges = texts(metadata, "tokenizer.ggml.merges")?;
    let kinds: Vec<i64> = metadata
        .remove("tokenizer.ggml.token_type")
        .and_then(|kinds| serde_json::from_value(kinds).ok())
        .unwrap_or_default();
    // 3 is a token of control, 4 one of the user's: both are found in a text whole.
    let added = kinds.iter().enumerate().filter(|(_, kind)| matches!(kind, 3 | 4));
    let added = added.filter_map(|(at, kind)| Some((u32::try_from(at).ok()?, *kind == 3))).collect::<Vec<_>>();
    Tokenizer::of_parts(&tokens, &merges, &added, digits).map_err(Error::input)
}
