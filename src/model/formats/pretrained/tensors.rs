//! The tensors of a pretrained net's file, and how parameters are made of them.

use super::Container;
use crate::error::{Error, Result};
use crate::model::Weights;
use crate::model::formats::weights::NamedTensor;
use std::collections::{BTreeMap, HashMap};

/// How a tensor becomes rows of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// As it is.
    AsIs,
    /// [inputs, outputs] in a folder becomes [outputs, inputs]: GPT-2's `Conv1D`.
    Transposed,
    /// Rows of queries or keys, in heads of this many: llama.cpp puts the two of a pair that is turned side by side.
    Paired(usize),
    /// Added to every row of what is before it: the same for each place.
    AddedRow,
    /// The rows of the tokens, of which some may be of none.
    Tokens,
}

/// A tensor by its names in a folder and in a GGUF file.
#[derive(Clone, Debug)]
pub(super) struct Part {
    folder: String,
    gguf: String,
    how: How,
}

impl Part {
    pub(super) fn new(folder: impl Into<String>, gguf: impl Into<String>, how: How) -> Self {
        Part { folder: folder.into(), gguf: gguf.into(), how }
    }

    /// Its name in a folder, without what the class that wrote it puts before it.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    pub(super) fn how(&self) -> How {
        self.how
    }
}

/// The tensors whose rows, one after the other, are a parameter.
pub(super) type Source = Vec<Part>;

/// Prefixes that names of a folder may have, by the class that wrote them.
pub(super) const PREFIXES: [&str; 4] = ["", "model.", "transformer.", "bert."];

/// The tensors of a file.
#[derive(Debug)]
pub(super) struct Tensors {
    tensors: Vec<NamedTensor>,
    places: HashMap<String, usize>,
    /// Rows of embeddings in the file, and those that have a token.
    pub(super) rows: Option<(usize, usize)>,
    /// Types of elements that became 32-bit floats, and how many tensors had each.
    pub(super) converted: BTreeMap<String, usize>,
}

impl Tensors {
    pub(super) fn new(weights: Weights, converted: BTreeMap<String, usize>) -> Self {
        let places = weights.tensors.iter().enumerate().map(|(at, tensor)| (tensor.name.clone(), at)).collect();
        Tensors { tensors: weights.tensors, places, rows: None, converted }
    }

    /// The rows of a tensor, where there is one of this name.
    pub(super) fn rows_of(&self, name: &str) -> Option<usize> {
        self.places.get(name).and_then(|&at| self.tensors[at].shape.first().copied())
    }

    fn find(&self, part: &Part, container: Container) -> Result<usize> {
        let found = match container {
            Container::Gguf => self.places.get(&part.gguf),
            Container::Folder => {
                PREFIXES.iter().find_map(|prefix| self.places.get(&format!("{prefix}{}", part.folder)))
            }
        };
        let name = if container == Container::Gguf { &part.gguf } else { &part.folder };
        found.copied().ok_or_else(|| Error::input(format!("found no tensor {name}, expected it")))
    }

    /// The values of a parameter of this shape; `taken` hears of the tensors that they come from.
    pub(super) fn take(
        &self,
        source: &Source,
        container: Container,
        shape: &[usize],
        taken: &mut Vec<usize>,
    ) -> Result<Vec<f32>> {
        let mut values: Vec<f32> = Vec::new();
        let columns: usize = shape[1..].iter().product();
        for part in source {
            let at = self.find(part, container)?;
            taken.push(at);
            let tensor = &self.tensors[at];
            let how = match (part.how, container) {
                (How::Transposed, Container::Gguf) | (How::Paired(_), Container::Folder) => How::AsIs,
                (how, _) => how,
            };
            let wrong = |expected: String| {
                let (name, found) = (tensor.name.escape_debug(), &tensor.shape);
                Error::input(format!("found {name} of shape {found:?}, expected {expected}"))
            };
            match (how, &tensor.shape[..]) {
                (How::Transposed, &[inputs, outputs]) if inputs == columns => {
                    values.extend((0..inputs * outputs).map(|n| tensor.values[n % inputs * outputs + n / inputs]));
                }
                (How::AddedRow, &[rows, width]) if width == columns && rows > 0 => {
                    let row = &tensor.values[..width];
                    values.chunks_mut(width).for_each(|x| x.iter_mut().zip(row).for_each(|(x, row)| *x += row));
                }
                (How::Tokens, &[rows, width]) if width == columns && self.rows.is_none_or(|(all, _)| all == rows) => {
                    let tokens = self.rows.map_or(rows, |(_, tokens)| tokens);
                    values.extend_from_slice(&tensor.values[..tokens * width]);
                }
                (How::Paired(size), &[rows, width]) if width == columns && rows.is_multiple_of(size) => {
                    let half = size / 2;
                    let row = |n: usize| n / size * size + n % size % half * 2 + n % size / half;
                    (0..rows).for_each(|n| values.extend_from_slice(&tensor.values[row(n) * width..][..width]));
                }
                (How::AsIs, &[_, width]) if shape.len() == 2 && width == columns => {
                    values.extend_from_slice(&tensor.values);
                }
                (How::AsIs, &[_]) if shape.len() == 1 => values.extend_from_slice(&tensor.values),
                (How::Transposed, _) => return Err(wrong(format!("[{columns}, outputs]"))),
                (How::Tokens, _) => {
                    return Err(wrong(format!("[{}, {columns}]", self.rows.map_or(shape[0], |(all, _)| all))));
                }
                _ if shape.len() == 1 => return Err(wrong(format!("{shape:?}"))),
                _ => return Err(wrong(format!("[rows, {columns}]"))),
            }
        }
        let expected: usize = shape.iter().product();
        match values.len() == expected {
            true => Ok(values),
            false => {
                let names: Vec<&str> = source.iter().map(|part| &*part.folder).collect();
                let (found, names) = (values.len(), names.join(", "));
                Err(Error::input(format!("{names}: found {found} numbers, expected {expected} for {shape:?}")))
            }
        }
    }

    /// What is said of the tensors that were not taken.
    ///
    /// # Errors
    /// [`Error::Input`] for tensors that no known net of this family has: it would be another net.
    pub(super) fn rest(&self, taken: &[usize], left_out: &[&str]) -> Result<Option<String>> {
        let mut is_taken = vec![false; self.tensors.len()];
        taken.iter().for_each(|&at| is_taken[at] = true);
        let rest = self.tensors.iter().zip(&is_taken).filter(|(_, taken)| !**taken).map(|(tensor, _)| &*tensor.name);
        let known = |name: &&str| left_out.iter().any(|ending| name.ends_with(ending));
        let (known, others): (Vec<&str>, Vec<&str>) = rest.partition(known);
        let some = |names: &[&str]| {
            let first: Vec<String> = names.iter().take(3).map(|name| name.escape_debug().to_string()).collect();
            first.join(", ") + if names.len() > 3 { ", …" } else { "" }
        };
        if !others.is_empty() {
            let count = others.len();
            return Err(Error::input(format!(
                "found {count} tensors that this net has no place for: {}",
                some(&others)
            )));
        }
        Ok((!known.is_empty()).then(|| format!("{} tensors are left out: {}", known.len(), some(&known))))
    }
}
