//! Element types of stored fields, and the conversion of a stored element when a batch is drawn.

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

/// The conversion of a stored element.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Read {
    /// The float `element · scale + shift`.
    Scaled {
        /// The factor for the element.
        scale: f32,
        /// The summand after that.
        shift: f32,
    },
    /// The element as it is: a word, as labels are.
    AsIs,
}

impl Read {
    /// A number as a float of the same value.
    pub const FLOAT: Read = Read::Scaled { scale: 1.0, shift: 0.0 };
}

/// How a picture of any kind becomes the image that a model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prepare {
    /// As MNIST's digits were made: grey, light on dark, cropped to the ink, scaled to 20/28 of the sides, centred by mass.
    Digits,
    /// The whole picture, resized.
    Resize,
    /// The largest part in the middle that has the sides' proportion, resized.
    Crop,
    /// The whole picture, its proportion kept, resized to fit and padded with black.
    Pad,
}

/// A column of numbers: its name, and the mean and deviation that it is standardised by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The column's name.
    pub name: String,
    /// The mean of the training samples.
    pub mean: f64,
    /// Their standard deviation (of the population); 1 where all are the same.
    pub deviation: f64,
}

impl Scale {
    /// The mean and the deviation of `numbers`, in two passes of double precision.
    pub fn of(name: &str, numbers: impl ExactSizeIterator<Item = f64> + Clone) -> Scale {
        let count = numbers.len().max(1) as f64;
        let mean = numbers.clone().sum::<f64>() / count;
        let deviation = (numbers.clone().map(|number| (number - mean).powi(2)).sum::<f64>() / count).sqrt();
        let is_constant = Scale::is_constant(numbers) || deviation < f64::MIN_POSITIVE;
        Scale { name: name.into(), mean, deviation: if is_constant { 1.0 } else { deviation } }
    }

    /// Whether all numbers are the same.
    pub fn is_constant(mut numbers: impl Iterator<Item = f64>) -> bool {
        numbers.next().is_none_or(|first| numbers.all(|number| number == first))
    }

    /// `(number - mean) / deviation`.
    pub fn standardised(&self, number: f64) -> f32 {
        ((number - self.mean) / self.deviation) as f32
    }

    /// `x · deviation + mean`.
    pub fn restored(&self, x: f32) -> f64 {
        f64::from(x) * self.deviation + self.mean
    }

    /// Whether it can be standardised by: finite, and a deviation above 0.
    pub fn is_sound(&self) -> bool {
        self.mean.is_finite() && self.deviation.is_finite() && self.deviation > 0.0
    }
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

    #[test]
    fn numbers_are_standardised_and_restored() {
        let scale = Scale::of("x", [1.0, 2.0, 3.0, 6.0].into_iter());
        assert_eq!((scale.mean, scale.deviation), (3.0, 3.5f64.sqrt()));
        assert_eq!(scale.restored(scale.standardised(3.0)), 3.0);
        let far = Scale::of("t", [1.7e9, 1.7e9 + 1.0, 1.7e9 + 2.0].into_iter());
        assert_eq!(
            (far.mean, far.deviation),
            (1.7e9 + 1.0, (2.0f64 / 3.0).sqrt()),
            "a small deviation of large numbers"
        );
        assert_eq!(Scale::of("same", [0.1; 7].into_iter()).deviation, 1.0);
        assert_eq!(Scale::of("none", [0.0; 3].into_iter()).standardised(0.0), 0.0);
    }
}
