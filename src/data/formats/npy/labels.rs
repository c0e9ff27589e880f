//! Labels in an array's file: classes as integers of any width, and yes-or-no answers as 0 and 1.

use crate::data::MOST_CLASSES;
use crate::data::formats::npy::header::{check_length, open};
use crate::data::source::Source;
use crate::data::split::Labels;
use crate::error::{Error, Result};
use std::path::Path;

/// Reads labels.
///
/// # Errors
/// As [`read`](super::read).
pub fn read_labels(path: &Path) -> Result<Vec<u32>> {
    match read_any_labels(Source::open(path)?)? {
        (sizes, labels) if matches!(sizes[..], [_] | [_, 1]) => Ok(labels.into_words()),
        (sizes, _) => {
            Err(Error::input(format!("{}: found labels of shape {sizes:?}, expected one per image", path.display())))
        }
    }
}

/// Labels and their shape: `[count]`, [count, 1] or [count, height, width] of classes, [count, answers] of 0 and 1.
pub(super) fn read_any_labels(source: Source) -> Result<(Vec<usize>, Labels)> {
    let path = source.path().to_owned();
    let shown = path.display();
    let (header, mut source, left) = open(source)?;
    let unknown = || {
        let wanted = "expected integers such as |u1, <i4 or <i8";
        Error::input(format!("{shown}: found labels of type {}, {wanted}", header.descr))
    };
    let answers = if let [_, answers] = header.shape[..] { Some(answers).filter(|answers| *answers > 1) } else { None };
    let (order, kind, width) = match header.descr.as_bytes() {
        [_, b'b', b'1'] if answers.is_some() => (b'|', b'u', 1),
        [order @ (b'<' | b'>'), kind @ b'f', width @ (b'4' | b'8')] if answers.is_some() => {
            (*order, *kind, usize::from(width - b'0'))
        }
        [order @ (b'|' | b'<' | b'>' | b'='), kind @ (b'i' | b'u'), width @ (b'1' | b'2' | b'4' | b'8')] => {
            (*order, *kind, usize::from(width - b'0'))
        }
        _ => return Err(unknown()),
    };
    // `=` is the order of the machine that wrote the file, which is unknown; NumPy does not write it.
    if width > 1 && !matches!(order, b'<' | b'>') {
        return Err(unknown());
    }
    if !matches!(header.shape[..], [_] | [_, _] | [_, _, _]) {
        return Err(Error::input(format!(
            "{shown}: found labels of shape {:?}, expected [count] or [count, 1], [count, answers] of 0 and 1, or [count, \
             height, width] for one for each pixel",
            header.shape
        )));
    }
    check_length(&path, &header, width, left)?;
    let label = |(n, bytes): (usize, &[u8])| {
        // The least significant byte first; a negative number's last bit, where it has one, is its sign.
        let at = |place: usize| if order == b'>' { bytes[width - 1 - place] } else { bytes[place] };
        let negative = kind == b'i' && at(width - 1) >= 0x80;
        let sign = if negative { -1i128 } else { 0 };
        let value = (0..width).rev().fold(sign, |all, place| all << 8 | i128::from(at(place)));
        u16::try_from(value)
            .map_err(|_| Error::input(format!("{shown}, label {n}: found {value}, expected 0 to {}", MOST_CLASSES - 1)))
    };
    let bytes = source.rest(left)?;
    if let Some(answers) = answers {
        let answer = |(n, bytes): (usize, &[u8])| {
            let mut bytes: Vec<u8> = bytes.to_vec();
            if order == b'>' {
                bytes.reverse();
            }
            // A float's one, or an integer's; all of them write zero alike.
            let one: Vec<u8> = match (kind, width) {
                (b'f', 4) => 1f32.to_le_bytes().into(),
                (b'f', _) => 1f64.to_le_bytes().into(),
                _ => std::iter::once(1).chain(std::iter::repeat_n(0, width - 1)).collect(),
            };
            match bytes.iter().all(|byte| *byte == 0) {
                true => Ok(0),
                false if bytes == one => Ok(1),
                false => {
                    let (row, column) = (n / answers, n % answers);
                    let why = "expected 0 or 1: labels of shape [count, answers] are yes-or-no answers";
                    Err(Error::input(format!("{shown}, sample {row}, answer {column}: found another number, {why}")))
                }
            }
        };
        let found: Result<Vec<u8>> = bytes.chunks_exact(width).enumerate().map(answer).collect();
        return Ok((header.shape.clone(), Labels::Answers(found?, answers)));
    }
    if (kind, width) == (b'u', 1) {
        return Ok((header.shape.clone(), Labels::Bytes(bytes)));
    }
    let labels: Result<Vec<u16>> = bytes.chunks_exact(width).enumerate().map(label).collect();
    Ok((header.shape.clone(), Labels::narrow(labels?)))
}
