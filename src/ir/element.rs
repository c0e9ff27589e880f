//! Element types of stored fields, and what a stored element becomes when a batch is drawn.

use serde::{Deserialize, Serialize};

/// The label of a target that counts neither in the loss nor in any metric.
pub const IGNORED: u32 = u32::MAX;

/// The type of a stored element; all are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// A byte: most pixels, and labels of up to 256 classes.
    U8,
    /// Two bytes: labels of more classes.
    U16,
    /// Four bytes: labels, of which [`IGNORED`] is none.
    U32,
    /// A float of four bytes.
    F32,
}

impl Element {
    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Element::U8 => 1,
            Element::U16 => 2,
            Element::U32 | Element::F32 => 4,
        }
    }

    /// Its number in the kernels that draw.
    pub(crate) fn number(self) -> u32 {
        match self {
            Element::U8 => 0,
            Element::U16 => 1,
            Element::U32 => 2,
            Element::F32 => 3,
        }
    }

    /// Element `at` of stored bytes as a whole number; a float's bits.
    pub fn word(self, bytes: &[u8], at: usize) -> u32 {
        match self {
            Element::U8 => bytes[at].into(),
            Element::U16 => u16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]]).into(),
            Element::U32 | Element::F32 => u32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[4 * at + byte])),
        }
    }

    /// Element `at` of stored bytes as a number.
    pub fn value(self, bytes: &[u8], at: usize) -> f64 {
        match self {
            Element::F32 => f32::from_bits(self.word(bytes, at)).into(),
            _ => self.word(bytes, at).into(),
        }
    }
}

/// What a stored element becomes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Read {
    /// The float `element · scale + shift`.
    Scaled {
        /// What the element is multiplied by.
        scale: f32,
        /// What is added then.
        shift: f32,
    },
    /// The element as it is: a word, as labels are.
    AsIs,
}

impl Read {
    /// A number as a float of the same value.
    pub const FLOAT: Read = Read::Scaled { scale: 1.0, shift: 0.0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_little_endian() {
        let bytes = [1, 2, 3, 4, 0, 0, 0x80, 0xbf];
        assert_eq!([Element::U8, Element::U16, Element::U32].map(|e| e.word(&bytes, 1)), [2, 0x403, 0xbf80_0000]);
        assert_eq!((Element::F32.value(&bytes, 1), Element::U16.value(&bytes, 0)), (-1.0, 513.0));
    }
}
