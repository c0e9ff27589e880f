//! From the values that masks have to classes: the values that occur are the classes, and a notice lists them.

use crate::data::schema::{Element, Field, LABEL};
use crate::data::split::{Label, Split};
use crate::data::{Column, MOST_CLASSES};
use crate::error::{Error, Result};
use std::collections::{BTreeSet, HashMap};

/// How many values a sentence names.
const NAMED: usize = 8;

/// Red, green and blue of a value that is a colour.
pub fn colour_of(value: u32) -> Option<[u8; 3]> {
    let [first, red, green, blue] = value.to_be_bytes();
    (first == 1).then_some([red, green, blue])
}

/// The value of a colour: its red, green and blue in the lower 24 bits, and a one above them.
pub fn colour(rgb: &[u8]) -> u32 {
    rgb.iter().take(3).fold(1, |value, part| value << 8 | u32::from(*part))
}

/// The value of a grey colour as a number; none of any other colour.
pub fn as_grey(value: u32) -> Option<u32> {
    match colour_of(value) {
        None => Some(value),
        Some([red, green, blue]) => (red == green && green == blue).then_some(u32::from(red)),
    }
}

/// A value as people write it: `17` or `#ff0080`.
pub fn text_of(value: u32) -> String {
    match colour_of(value) {
        None => value.to_string(),
        Some([red, green, blue]) => format!("#{red:02x}{green:02x}{blue:02x}"),
    }
}

/// The value that a text such as `17` or `#ff0080` is; none of any other text.
pub fn value_of(text: &str) -> Option<u32> {
    match text.strip_prefix('#') {
        None => text.parse().ok().filter(|value: &u32| value.to_string() == text),
        Some(digits) if digits.len() == 6 => u32::from_str_radix(digits, 16).ok().map(|rgb| rgb | 1 << 24),
        Some(_) => None,
    }
}

/// The option that leaves a value out, in quotes where a shell would take it as a comment.
fn ignoring(value: u32) -> String {
    let quote = if colour_of(value).is_some() { "'" } else { "" };
    format!("--ignore-label {quote}{0}{quote} leaves {0} out", text_of(value))
}

/// How the values of masks map to classes.
#[derive(Clone, Copy, Debug)]
pub struct Meaning<'a> {
    /// The value that stands for no class.
    pub ignored: Option<u32>,
    /// Names of classes that the data has itself, in their order.
    pub listed: Option<&'a [String]>,
    /// Names of the classes of a model that was trained on such masks; none without one.
    pub known: &'a [String],
    /// The most values that may become classes where nothing names them.
    pub most: usize,
}

/// The classes of a set of masks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    /// The value of each class.
    pub values: Vec<u32>,
    /// The name of each class.
    pub names: Vec<String>,
}

impl Classes {
    /// The classes of masks in which these values occur, the ignored one included.
    ///
    /// Names that are listed stand for 0, 1 and so on, where there are enough of them, or else for the values in their order; so
    /// do a model's, where they are no values themselves. Without names, 0 to n are as many classes, 0 and 255 are two, and any other
    /// values are numbered in their order; each is named by its value.
    ///
    /// # Errors
    /// [`Error::Input`] if nothing but ignored values is left, values do not go with the names, or there are too many.
    pub fn of(found: &BTreeSet<u32>, meaning: Meaning) -> Result<Classes> {
        let found: Vec<u32> = found.iter().copied().filter(|value| meaning.ignored != Some(*value)).collect();
        let Some(&largest) = found.last() else {
            return Err(Error::input("every pixel of the masks is ignored, expected some of a class"));
        };
        let two = found.iter().all(|value| [0, 255].contains(value));
        let from_zero = |count: usize| (0..count as u32).collect::<Vec<_>>();
        let names = meaning.listed.or(Some(meaning.known).filter(|known| !known.is_empty()));
        let as_values: Option<Vec<u32>> = meaning.known.iter().map(|name| value_of(name)).collect();
        let values = match (names, as_values.filter(|values| meaning.listed.is_none() && !values.is_empty())) {
            (_, Some(values)) => match found.iter().find(|value| !values.contains(value)) {
                None => values,
                Some(other) => {
                    let (other, values, left_out) = (text_of(*other), some(&values), ignoring(*other));
                    return Err(Error::input(format!(
                        "found the mask value {other}, which is no class of the model, expected {values}; {left_out}"
                    )));
                }
            },
            (Some(names), None) if (largest as usize) < names.len() => from_zero(names.len()),
            (Some(names), None) if names.len() == 2 && two => vec![0, 255],
            (Some(names), None) if names.len() == found.len() => found,
            (Some(names), None) => {
                let (count, last) = (names.len(), names.len().saturating_sub(1));
                let beyond: Vec<u32> = found.iter().copied().filter(|value| *value as usize >= count).collect();
                let hint = match beyond[..] {
                    [one] => format!("; {}", ignoring(one)),
                    _ => String::new(),
                };
                let found = some(&found);
                return Err(Error::input(format!(
                    "found the mask values {found} and {count} names of classes, expected values from 0 to {last}, or as many \
                     values as names{hint}"
                )));
            }
            (None, None) if found.len() > meaning.most => {
                let (count, most, found) = (found.len(), meaning.most, some(&found));
                return Err(Error::input(format!(
                    "found {count} values in the masks ({found}), expected at most {most} where no classes.txt names them; masks \
                     that were smoothed, scaled or compressed as JPEG have values that are no class"
                )));
            }
            (None, None) if largest as usize == found.len() - 1 => from_zero(found.len()),
            (None, None) if two => vec![0, 255],
            (None, None) => found,
        };
        if values.len() > MOST_CLASSES {
            return Err(Error::input(format!("found {} mask values, expected at most {MOST_CLASSES}", values.len())));
        }
        let names = names.map_or_else(|| values.iter().map(|value| text_of(*value)).collect(), <[String]>::to_vec);
        Ok(Classes { values, names })
    }

    /// Whether each value is its class.
    pub fn are_values(&self) -> bool {
        self.values.iter().enumerate().all(|(class, value)| class == *value as usize)
    }

    /// Which values are which classes, in words; nothing where the values are the classes.
    pub fn said(&self) -> Option<String> {
        if self.are_values() {
            return None;
        }
        let colours = self.values.iter().any(|value| colour_of(*value).is_some());
        let numbers: Vec<u32> = (0..self.values.len() as u32).collect();
        let own: Vec<String> = self.values.iter().map(|value| text_of(*value)).collect();
        let names = if own == self.names { String::new() } else { format!(": {}", list(&self.names)) };
        let kind = if colours { "colours" } else { "values" };
        // Classes from 0 on and 255: the latter is not a class in Pascal VOC, Cityscapes and others.
        let before = self.values.split_last().map_or(&[][..], |(_, before)| before);
        let is_index = before.len() > 1 && (0..).zip(before).all(|(class, value)| class == *value);
        let hint = match self.values.last() {
            Some(&last @ 255) if is_index => format!("; {}, where it stands for no class", ignoring(last)),
            _ => String::new(),
        };
        Some(format!("mask {kind} {} are classes {}{names}{hint}", some(&self.values), some(&numbers)))
    }

    /// The splits with classes in place of values; the ignored value counts as no class.
    ///
    /// # Errors
    /// [`Error::Input`] if a split has no labels, or a value that is not a class.
    pub fn relabel(&self, split: &mut Split, ignored: Option<u32>) -> Result<()> {
        let missing = || Error::input("a split without labels, expected a mask for each image");
        let column = split.column_mut(LABEL).ok_or_else(missing)?;
        // One number more than there are classes stands for what is ignored, and is the largest that the type holds.
        let wide = self.values.len() >= usize::from(u8::MAX);
        let none = if wide { u16::MAX } else { u8::MAX.into() };
        let classes: HashMap<u32, u16> = (0..).zip(&self.values).map(|(class, value)| (*value, class)).collect();
        let class = |value: u32| match classes.get(&value) {
            _ if ignored == Some(value) => Ok(none),
            Some(class) => Ok(*class),
            None => Err(Error::input(format!("found the mask value {}, which is no class", text_of(value)))),
        };
        let labels = column.words(0..column.count()).map(class).collect::<Result<Vec<u16>>>()?;
        let shape = column.field().shape.clone();
        let (element, bytes) = match wide {
            true => (Element::U16, u16::stored(labels)),
            false => (Element::U8, labels.into_iter().map(|label| label as u8).collect()),
        };
        let ignored = ignored.map(|_| u32::from(none));
        *column = Column::new(Field { ignored, ..Field::label(&shape, element) }, bytes)?;
        Ok(())
    }
}

/// The values that occur. Neighbours are mostly alike, so that few of them are looked up.
pub fn occurring(values: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
    let (mut found, mut last) = (BTreeSet::new(), None);
    for value in values {
        if last != Some(value) {
            found.insert(value);
            last = Some(value);
        }
    }
    found
}

/// The first few values in words.
pub fn some(values: &[u32]) -> String {
    list(&values.iter().map(|value| text_of(*value)).collect::<Vec<_>>())
}

fn list(texts: &[String]) -> String {
    match texts.len() {
        0..=NAMED => texts.join(", "),
        count => format!("{} and {} more", texts[..NAMED].join(", "), count - NAMED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::IGNORED;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn of(found: &[u32], ignored: Option<u32>, listed: Option<&[&str]>, known: &[&str]) -> Result<Classes> {
        let (listed, known) = (listed.map(owned), owned(known));
        let found = found.iter().copied().collect();
        Classes::of(&found, Meaning { ignored, listed: listed.as_deref(), known: &known, most: 4 })
    }

    #[test]
    fn the_values_that_occur_are_the_classes() {
        const RED: u32 = 0x01ff_0000;
        for (found, ignored, listed, known, values, names) in [
            (&[0, 1, 2][..], None, None, &[][..], &[0, 1, 2][..], &["0", "1", "2"][..]),
            (&[0, 255], None, None, &[], &[0, 255], &["0", "255"]),
            (&[255], None, None, &[], &[0, 255], &["0", "255"]),
            (&[0, 1, 255], Some(255), None, &[], &[0, 1], &["0", "1"]),
            (&[0, 3, 15, 255], Some(255), None, &[], &[0, 3, 15], &["0", "3", "15"]),
            (&[0, 1, 2, 3], None, None, &[], &[0, 1, 2, 3], &["0", "1", "2", "3"]),
            (&[0x0100_0000, RED], None, None, &[], &[0x0100_0000, RED], &["#000000", "#ff0000"]),
            // Names stand for 0 and on, for 0 and 255, or for as many values as they are.
            (&[1, 2], None, Some(&["a", "b", "c"][..]), &[], &[0, 1, 2], &["a", "b", "c"]),
            (&[255], None, Some(&["no", "yes"]), &[], &[0, 255], &["no", "yes"]),
            (&[7, 70], None, Some(&["no", "yes"]), &[], &[7, 70], &["no", "yes"]),
            // A model's names are values where they are numbers or colours, whatever occurs.
            (&[255], None, None, &["0", "255"], &[0, 255], &["0", "255"]),
            (&[0, 3], None, None, &["0", "1", "2", "3"], &[0, 1, 2, 3], &["0", "1", "2", "3"]),
            (&[RED], None, None, &["#000000", "#ff0000"], &[0x0100_0000, RED], &["#000000", "#ff0000"]),
            (&[1], None, None, &["sky", "road"], &[0, 1], &["sky", "road"]),
        ] {
            let classes = of(found, ignored, listed, known).unwrap();
            assert_eq!((&classes.values[..], &classes.names[..]), (values, &owned(names)[..]), "{found:?}");
        }
        for (found, ignored, listed, known, words) in [
            (&[255][..], Some(255), None, &[][..], "every pixel"),
            (&[0, 1, 255], None, Some(&["a", "b"][..]), &[], "--ignore-label 255 leaves 255 out"),
            (&[0, 9, 255], None, Some(&["a", "b"]), &[], "expected values from 0 to 1"),
            (&[0, 1, 255], None, None, &["0", "1"], "255, which is no class of the model, expected 0, 1"),
            (&[0, 9, 11, 12, 255], None, None, &[], "found 5 values"),
            (&[0, 1, 2, 3, 4], None, None, &[], "found 5 values"),
        ] {
            let error = of(found, ignored, listed, known).unwrap_err().to_string();
            assert!(error.contains(words), "{found:?}: {error}");
        }
    }

    #[test]
    fn which_value_is_which_class_is_said() {
        let said = |found: &[u32], listed| of(found, None, listed, &[]).unwrap().said();
        assert_eq!(said(&[0, 1], None), None);
        assert_eq!(said(&[0, 255], None).unwrap(), "mask values 0, 255 are classes 0, 1");
        assert_eq!(said(&[4, 8], Some(&["a", "b"])).unwrap(), "mask values 4, 8 are classes 0, 1: a, b");
        assert!(
            said(&[0, 1, 255], None)
                .unwrap()
                .ends_with("--ignore-label 255 leaves 255 out, where it stands for no class")
        );
        let colours = said(&[0x0100_0000, 0x01ff_0010], None).unwrap();
        assert_eq!(colours, "mask colours #000000, #ff0010 are classes 0, 1");
    }

    #[test]
    fn labels_become_classes() {
        let split = || Split::masked([1, 4, 1], vec![0; 4], vec![0u32, 3, 15, 255]).unwrap();
        let classes = of(&[0, 3, 15, 255], Some(255), None, &[]).unwrap();
        let mut few = split();
        classes.relabel(&mut few, Some(255)).unwrap();
        assert_eq!(few.labels(), [0, 1, 2, IGNORED]);
        assert_eq!(few.column(LABEL).unwrap().field().element, Element::U8);
        assert!(classes.relabel(&mut split(), None).unwrap_err().to_string().contains("255"));
        let many = Classes { values: (0..255).collect(), names: Vec::new() };
        let mut wide = split();
        many.relabel(&mut wide, Some(255)).unwrap();
        assert_eq!((wide.labels(), wide.column(LABEL).unwrap().field().bytes()), (vec![0, 3, 15, IGNORED], 8));
    }
}
