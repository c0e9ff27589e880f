//! A column of a split: one field of all samples, as bytes in memory or in a region of a file.

#[cfg(feature = "images")]
use crate::data::pictures::undecoded::Undecoded;
use crate::data::region::{Region, turn};
use crate::data::schema::{Field, IGNORED};
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that are handed over at once where all of a column is gone through.
const PART_BYTES: usize = 1 << 20;

/// One field of all samples of a split.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    field: Field,
    count: usize,
    store: Store,
    /// Of a ragged field, the positions of each sample among all that are stored.
    spans: Option<Vec<Range<u64>>>,
}

/// Where the elements are, little-endian, one sample after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Store {
    Held(Arc<Vec<u8>>),
    InFile(Region),
    #[cfg(feature = "images")]
    Undecoded(Undecoded),
}

/// CRC-32 of these columns, one after the other.
///
/// # Errors
/// [`Error::Input`] if samples are in a file that cannot be read any more.
pub fn crc32<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Result<u32> {
    let mut crc = crc32fast::Hasher::new();
    for column in columns {
        #[cfg(feature = "images")]
        if let Store::Undecoded(images) = &column.store {
            images.add_to(&mut crc, column.count);
            continue;
        }
        for part in column.parts() {
            crc.update(&part?.1);
        }
    }
    Ok(crc.finalize())
}

impl Column {
    /// A column in memory: the elements of all samples, little-endian, one sample after the other.
    ///
    /// # Errors
    /// [`Error::Input`] if these are no whole number of samples, and for a ragged field.
    pub fn new(field: Field, bytes: Vec<u8>) -> Result<Column> {
        let each = field.bytes();
        if field.ragged || each == 0 || !bytes.len().is_multiple_of(each) {
            return Err(Error::input(format!(
                "field {}: found {} bytes, expected a multiple of {each}, the bytes of a sample",
                field.name,
                bytes.len()
            )));
        }
        Ok(Column { count: bytes.len() / each, field, store: Store::Held(Arc::new(bytes)), spans: None })
    }

    /// A column of a ragged field in memory: the positions of sample n are those from `offsets[n]` to `offsets[n + 1]`.
    ///
    /// # Errors
    /// [`Error::Input`] if offsets fall, or lead beyond the bytes, and for a field that is not ragged.
    pub fn ragged(field: Field, bytes: Vec<u8>, offsets: &[u64]) -> Result<Column> {
        let stored = bytes.len().checked_div(field.bytes()).filter(|_| field.ragged);
        let fits = offsets.windows(2).all(|pair| pair[0] <= pair[1])
            && offsets.last().is_some_and(|last| stored.is_some_and(|stored| *last <= stored as u64));
        if !fits {
            return Err(Error::input(format!(
                "field {}: found {} bytes and {} offsets, expected offsets in ascending order within them",
                field.name,
                bytes.len(),
                offsets.len()
            )));
        }
        let spans: Vec<Range<u64>> = offsets.windows(2).map(|pair| pair[0]..pair[1]).collect();
        Ok(Column { count: spans.len(), field, store: Store::Held(Arc::new(bytes)), spans: Some(spans) })
    }

    /// A column of `count` samples that stays in a file, whose length was checked.
    pub(in crate::data) fn in_file(field: Field, count: usize, region: Region) -> Column {
        Column { field, count, store: Store::InFile(region), spans: None }
    }

    /// A column of pictures that stay in their files.
    #[cfg(feature = "images")]
    pub(in crate::data) fn undecoded(field: Field, count: usize, images: Undecoded) -> Column {
        Column { field, count, store: Store::Undecoded(images), spans: None }
    }

    /// The shape of each sample in the column.
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// The same elements with another name or another reading.
    ///
    /// # Errors
    /// [`Error::Input`] if the field has other elements.
    pub fn with_field(self, field: Field) -> Result<Column> {
        let old = &self.field;
        if (field.elements(), field.element, field.ragged) != (old.elements(), old.element, old.ragged) {
            return Err(Error::input(format!("field {}: found other elements than those of {}", field.name, old.name)));
        }
        Ok(Column { field, ..self })
    }

    /// The number of samples.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether the elements stay in their file, or their files.
    pub fn is_in_file(&self) -> bool {
        !matches!(self.store, Store::Held(_))
    }

    /// Whether the elements are decoded each time that they are read.
    pub fn is_undecoded(&self) -> bool {
        !matches!(self.store, Store::Held(_) | Store::InFile(_))
    }

    /// The elements of all samples where they are in memory, else nothing.
    pub fn held(&self) -> &[u8] {
        match &self.store {
            Store::Held(bytes) => bytes,
            _ => &[],
        }
    }

    /// The elements of the samples `range`.
    ///
    /// # Errors
    /// [`Error::Input`] if they are in a file that cannot be read any more; [`Error::Failed`] for samples that there
    /// are not.
    pub fn rows(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>> {
        let missing = || Error::failed(format!("samples {range:?} of a split of {}", self.count));
        if range.start > range.end || range.end > self.count {
            return Err(missing());
        }
        let each = self.field.bytes();
        if let Some(spans) = &self.spans {
            let mut bytes = Vec::new();
            for span in &spans[range.clone()] {
                bytes.extend_from_slice(&self.read(span.start as usize * each..span.end as usize * each)?);
            }
            return Ok(Cow::Owned(bytes));
        }
        self.read(range.start * each..range.end * each)
    }

    /// Bytes of the store.
    fn read(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>> {
        match &self.store {
            Store::Held(bytes) => {
                let found = bytes.get(range.clone()).map(Cow::Borrowed);
                found.ok_or_else(|| Error::failed(format!("bytes {range:?} of {}", self.field.name)))
            }
            Store::InFile(region) => {
                let mut bytes = vec![0; range.len()];
                region.read(range.start as u64, &mut bytes)?;
                Ok(Cow::Owned(bytes))
            }
            #[cfg(feature = "images")]
            Store::Undecoded(images) => {
                let each = self.field.bytes().max(1);
                let images = images.read(&(range.start / each..range.end / each).collect::<Vec<_>>())?;
                Ok(Cow::Owned(images))
            }
        }
    }

    /// All elements in the order of the samples, some samples at a time, with the number of the first.
    pub fn parts(&self) -> impl Iterator<Item = Result<(usize, Cow<'_, [u8]>)>> {
        let step = (PART_BYTES / self.field.bytes().max(1)).max(1);
        let starts = (0..self.count).step_by(step);
        starts.map(move |start| Ok((start, self.rows(start..self.count.min(start + step))?)))
    }

    /// The words of the samples `range` of a field in memory, [`IGNORED`] where a target is ignored; nothing of a field in a
    /// file.
    pub fn words(&self, range: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        let (elements, element, ignored) = (self.field.elements(), self.field.element, self.field.ignored);
        let held = self.held();
        let all = held.len() / element.bytes();
        let word = move |at| Some(element.word(held, at)).filter(|word| ignored != Some(*word)).unwrap_or(IGNORED);
        (range.start.saturating_mul(elements).min(all)..range.end.saturating_mul(elements).min(all)).map(word)
    }

    /// The windows `runs` of a stream in memory, `phase` tokens later than they lie, as words: each its tokens, or those that follow
    /// them; [`IGNORED`] where there is none. What leads beyond the last window goes on at the beginning, which no token is
    /// followed by.
    pub(crate) fn windows(&self, runs: &[Range<usize>], phase: usize, follows: bool) -> Vec<u8> {
        let Field { element, ignored, stream, .. } = self.field;
        let (length, held) = (self.field.elements(), self.held());
        let (places, tokens) = (self.count * length, stream.unwrap_or(0));
        let token = |place: usize| {
            let word = if place < tokens { element.word(held, place) } else { IGNORED };
            if ignored == Some(word) { IGNORED } else { word }
        };
        let mut bytes = Vec::with_capacity(runs.iter().map(|run| run.len() * length * 4).sum());
        for place in runs.iter().flat_map(|run| run.start * length + phase..run.end * length + phase) {
            bytes.extend_from_slice(&token(place % places + usize::from(follows)).to_le_bytes());
        }
        bytes
    }

    /// Some of the samples, by their numbers in ascending order; what stays in a file still does.
    pub(in crate::data) fn chosen(&self, members: &[usize]) -> Result<Column> {
        let (mut field, count) = (self.field.clone(), members.len());
        // Of a stream the last window may not be full.
        let (tokens, length) = (field.stream, field.elements());
        field.stream =
            tokens.map(|tokens| members.iter().map(|at| tokens.saturating_sub(at * length).min(length)).sum());
        if let Some(spans) = &self.spans {
            let spans = members.iter().map(|&at| spans[at].clone()).collect();
            return Ok(Column { field, count, store: self.store.clone(), spans: Some(spans) });
        }
        let store = match &self.store {
            Store::InFile(region) => Store::InFile(region.chosen(members, self.field.bytes())),
            #[cfg(feature = "images")]
            Store::Undecoded(images) => Store::Undecoded(images.chosen(members)),
            Store::Held(_) => {
                let mut bytes = Vec::with_capacity(count * self.field.bytes());
                for &at in members {
                    bytes.extend_from_slice(&self.rows(at..at + 1)?);
                }
                Store::Held(Arc::new(bytes))
            }
        };
        Ok(Column { field, count, store, spans: None })
    }

    /// Keeps the first `limit` samples.
    pub(in crate::data) fn truncate(&mut self, limit: usize) {
        self.count = self.count.min(limit);
        let tokens = self.count * self.field.elements();
        self.field.stream = self.field.stream.map(|stream| stream.min(tokens));
        match (&mut self.spans, &mut self.store) {
            (Some(spans), _) => spans.truncate(limit),
            (None, Store::Held(bytes)) => Arc::make_mut(bytes).truncate(limit * self.field.bytes()),
            (None, _) => {}
        }
    }

    /// Changes rows and columns of images [height, width, 1].
    pub(in crate::data) fn turn(&mut self) {
        let [height, width, _] = self.field.shape[..] else { return };
        match &mut self.store {
            Store::InFile(region) => region.turn([height, width]),
            Store::Held(bytes) => turn([height, width], Arc::make_mut(bytes).as_mut_slice()),
            // Pictures lie in their files as they are shown.
            #[cfg(feature = "images")]
            Store::Undecoded(_) => return,
        }
        self.field.shape.swap(0, 1);
    }

    /// Makes each of these labels of bytes smaller by one.
    pub(in crate::data) fn lower_labels(&mut self) {
        if let (Store::Held(bytes), 1) = (&mut self.store, self.field.element.bytes()) {
            Arc::make_mut(bytes).iter_mut().for_each(|label| *label = label.saturating_sub(1));
        }
    }

    /// The samples `range` as a device has them: with [`Field::stride`] bytes from one to the next, the rest of each zero.
    ///
    /// # Errors
    /// As [`Column::rows`], and for a ragged field.
    pub fn padded(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>> {
        let Field { name, ragged, .. } = &self.field;
        if *ragged {
            return Err(Error::input(format!("field {name} is ragged: a batch is drawn of fields of one shape")));
        }
        let (size, stride) = (self.field.bytes(), self.field.stride());
        let rows = self.rows(range)?;
        Ok(if stride > size { Cow::Owned(padded(&rows, size, stride)) } else { rows })
    }

    /// [`Column::padded`] of several ranges, one after the other; what has to be decoded is decoded on all cores.
    ///
    /// # Errors
    /// As [`Column::padded`].
    pub(crate) fn padded_runs(&self, runs: &[Range<usize>]) -> Result<Vec<u8>> {
        #[cfg(feature = "images")]
        if let Store::Undecoded(images) = &self.store {
            let rows = images.read(&runs.iter().cloned().flatten().collect::<Vec<_>>())?;
            let (size, stride) = (self.field.bytes(), self.field.stride());
            return Ok(if stride > size { padded(&rows, size, stride) } else { rows });
        }
        let mut bytes = Vec::new();
        for run in runs {
            bytes.extend_from_slice(&self.padded(run.clone())?);
        }
        Ok(bytes)
    }
}

/// Rows of `size` bytes with `stride` bytes from one to the next, the rest of each zero.
pub(crate) fn padded(rows: &[u8], size: usize, stride: usize) -> Vec<u8> {
    let mut padded = vec![0; rows.len() / size.max(1) * stride];
    for (to, row) in padded.chunks_mut(stride.max(1)).zip(rows.chunks(size.max(1))) {
        to[..row.len()].copy_from_slice(row);
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::Element;

    #[test]
    fn ragged_samples_have_as_many_positions_as_they_have() {
        let tokens = || Field { ragged: true, ..Field::label(&[], Element::U16) };
        let bytes: Vec<u8> = (0..6u16).flat_map(u16::to_le_bytes).collect();
        let column = Column::ragged(tokens(), bytes.clone(), &[0, 2, 2, 5]).unwrap();
        assert_eq!((column.count(), &*column.rows(0..1).unwrap()), (3, &[0, 0, 1, 0][..]));
        assert_eq!(column.rows(1..3).unwrap(), &bytes[4..10]);
        let few = column.chosen(&[0, 2]).unwrap();
        assert_eq!(few.rows(0..2).unwrap(), &bytes[..10]);
        let mut first = few.clone();
        first.truncate(1);
        assert_eq!((first.count(), &*first.rows(0..1).unwrap()), (1, &bytes[..4]));
        assert!(column.padded(0..1).unwrap_err().to_string().contains("ragged"));
        for offsets in [&[0, 3, 2][..], &[0, 7], &[]] {
            assert!(Column::ragged(tokens(), bytes.clone(), offsets).is_err(), "{offsets:?}");
        }
        assert!(Column::ragged(Field::label(&[], Element::U16), bytes.clone(), &[0, 2]).is_err());
        assert!(Column::new(tokens(), bytes).is_err());
    }

    /// Every token but the first follows the one before it once, wherever windows begin.
    #[test]
    fn every_token_of_a_stream_follows_one() {
        let (tokens, length) = (23u32, 5);
        let stored: Vec<u8> = (0..25).map(|token| if token < 23 { token } else { u8::MAX }).collect();
        let field = Field { stream: Some(23), ..Field::of_tokens(crate::text::Unit::Chars, 23, length) };
        let column = Column::new(field, stored).unwrap();
        let words = |bytes: Vec<u8>| -> Vec<u32> {
            bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
        };
        for phase in 0..length {
            let runs = [3..5, 0..1, 1..3];
            let [here, next] = [false, true].map(|follows| words(column.windows(&runs, phase, follows)));
            let pairs = here.iter().zip(&next).filter(|(_, next)| **next != IGNORED);
            assert!(pairs.clone().all(|(token, next)| token + 1 == *next), "phase {phase}: {here:?}, {next:?}");
            let mut all: Vec<u32> = pairs.map(|(_, next)| *next).collect();
            all.sort_unstable();
            assert_eq!(all, (1..tokens).collect::<Vec<_>>(), "phase {phase}");
        }
    }

    #[test]
    fn rows_are_padded_to_whole_words() {
        let column = Column::new(Field::image([1, 3, 1]), (1..7).collect()).unwrap();
        assert_eq!(*column.padded(0..2).unwrap(), [1, 2, 3, 0, 4, 5, 6, 0]);
        assert!(Column::new(Field::image([1, 3, 1]), vec![0; 7]).is_err());
    }
}
