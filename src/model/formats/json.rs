//! A layer in the canonical JSON that describes a model: its type, the keys that it declares, and what it reads.

use crate::model::layers::keys::{Key, Kind, Value, padding};
use crate::model::layers::{LayerEntry, LayerType, TYPES};
use crate::ops::conv::geometry::Padding;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Size(size) => size.serialize(serializer),
            Value::Pair(sizes) => sizes.serialize(serializer),
            Value::Number(number) => number.serialize(serializer),
            Value::Single(number) => number.serialize(serializer),
            Value::Choice(word) => word.serialize(serializer),
            Value::Flag(flag) => flag.serialize(serializer),
            Value::Padding(Padding::Valid) => "valid".serialize(serializer),
            Value::Padding(Padding::Same) => "same".serialize(serializer),
            Value::Padding(Padding::Zeros(sides)) => match sides {
                [n, ..] if *sides == [*n; 4] => n.serialize(serializer),
                _ => sides.serialize(serializer),
            },
        }
    }
}

impl Serialize for LayerEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, values) = self.stored().ok_or_else(|| S::Error::custom("no file can describe this layer"))?;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", kind.tag)?;
        if let Some(key) = kind.told_by {
            map.serialize_entry(key, kind.name)?;
        }
        for (key, value) in kind.written(&values) {
            map.serialize_entry(key.name, &value)?;
        }
        if let Some(module) = &self.module {
            map.serialize_entry("module", module)?;
        }
        match self.from[..] {
            [] => {}
            _ if self.alone => map.serialize_entry("of", &self.from)?,
            [from] => map.serialize_entry("from", &from)?,
            _ => map.serialize_entry("from", &self.from)?,
        }
        if let Some(state) = self.state {
            map.serialize_entry("state", &state)?;
        }
        if let Some(tied) = self.tied {
            map.serialize_entry("tied", &tied)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for LayerEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = deserializer.deserialize_map(Entries)?;
        read(entries).map_err(D::Error::custom)
    }
}

/// The entries of an object, none of them twice.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = BTreeMap<String, serde_json::Value>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a layer with its type and keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, _>()? {
            if entries.contains_key(&key) {
                return Err(A::Error::custom(format!("found key {key:?} twice")));
            }
            entries.insert(key, value);
        }
        Ok(entries)
    }
}

fn read(mut entries: BTreeMap<String, serde_json::Value>) -> Result<LayerEntry, String> {
    let tag = text(&mut entries, "type")?;
    let tagged: Vec<&LayerType> = TYPES.iter().filter(|kind| kind.tag == tag).collect();
    let kind = match tagged.first() {
        None => return Err(format!("found no layer of type {tag:?}, expected one that this version has")),
        Some(LayerType { told_by: None, .. }) => tagged[0],
        Some(LayerType { told_by: Some(key), .. }) => {
            let name = text(&mut entries, key)?;
            let names: Vec<&str> = tagged.iter().map(|kind| kind.name).collect();
            let kind = tagged.iter().find(|kind| kind.name == name);
            kind.ok_or_else(|| format!("found no {tag} {name:?}, expected {}", names.join(", ")))?
        }
    };
    let wrong = |key: &str, why: String| format!("layer of type {tag:?}: {key}: {why}");
    let value = |key: &Key| match entries.remove(key.name) {
        Some(found) => {
            let value = value(key.kind, &found);
            let why = || wrong(key.name, format!("found {found}, expected {}", key.kind.expected()));
            value.map(Some).ok_or_else(why)
        }
        None if key.omitted => Ok(None),
        None => Err(wrong(key.name, "found no such key, expected it".into())),
    };
    let values = kind.keys.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    let layer = kind.make(&values).ok_or_else(|| wrong(kind.name, "its keys give no layer".into()))?;
    let mut read = |key: &str| {
        let places = |found: serde_json::Value| {
            places(&found).ok_or_else(|| wrong(key, format!("found {found}, expected places of layers")))
        };
        entries.remove(key).map(places).transpose()
    };
    let of = read("of")?.filter(|_| layer.joins());
    let from = if of.is_some() { of.clone() } else { read("from")? };
    let module = match entries.remove("module") {
        None => None,
        Some(serde_json::Value::String(name)) => Some(name),
        Some(found) => return Err(wrong("module", format!("found {found}, expected the name of a module"))),
    };
    let mut other = |key: &str| {
        let place = |found: serde_json::Value| {
            size(&found).ok_or_else(|| wrong(key, format!("found {found}, expected the place of a layer")))
        };
        entries.remove(key).map(place).transpose()
    };
    let (state, tied) = (other("state")?, other("tied")?);
    match entries.keys().next() {
        Some(key) => Err(wrong(key, "found a key that it does not have".into())),
        None => {
            let from = from.unwrap_or_default();
            Ok(LayerEntry { from, state, tied, alone: of.is_some(), module, ..LayerEntry::from_arc(layer) })
        }
    }
}

fn text(entries: &mut BTreeMap<String, serde_json::Value>, key: &str) -> Result<String, String> {
    match entries.remove(key) {
        Some(serde_json::Value::String(text)) => Ok(text),
        Some(found) => Err(format!("layer: found {key} = {found}, expected a text")),
        None => Err(format!("layer: found no key {key}, expected it")),
    }
}

fn size(found: &serde_json::Value) -> Option<usize> {
    usize::try_from(found.as_u64()?).ok()
}

/// Places of layers: one, or a list of two and more.
fn places(found: &serde_json::Value) -> Option<Vec<usize>> {
    match found {
        serde_json::Value::Array(list) if list.len() > 1 => list.iter().map(size).collect(),
        _ => Some(vec![size(found)?]),
    }
}

/// The value of a key of this kind; whether it is within its range is looked at with the shapes.
fn value(kind: Kind, found: &serde_json::Value) -> Option<Value> {
    match kind {
        Kind::Size | Kind::Count => size(found).map(Value::Size),
        Kind::Pair => {
            let sizes: Option<Vec<usize>> = found.as_array()?.iter().map(size).collect();
            Some(Value::Pair(sizes?.try_into().ok()?))
        }
        Kind::Number(_) => found.as_f64().map(Value::Number),
        Kind::Single(_) => found.as_f64().map(|number| Value::Single(number as f32)),
        Kind::Choice(words) => words.iter().find(|word| found.as_str() == Some(word)).map(|word| Value::Choice(word)),
        Kind::Flag => found.as_bool().map(Value::Flag),
        Kind::Padding => {
            let numbers: Option<Vec<usize>> = match found {
                serde_json::Value::String(_) => Some(Vec::new()),
                serde_json::Value::Array(list) => list.iter().map(size).collect(),
                one => size(one).map(|n| vec![n]),
            };
            padding(found.as_str(), &numbers?).map(Value::Padding)
        }
    }
}
