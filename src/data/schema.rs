//! The fields of a sample: name, sizes, and how its elements are stored and converted.

use crate::error::{Error, Result};
pub use crate::ir::element::{Element, IGNORED, Read, Scale};
use crate::text::Unit;

/// The name of the field of images.
pub const IMAGE: &str = "image";
/// The name of the field of a table's columns that a model reads.
pub const FEATURES: &str = "features";
/// The name of the field of classes: one, or one for each pixel.
pub const LABEL: &str = "label";
/// The name of the field of yes-or-no answers.
pub const ANSWERS: &str = "answers";
/// The name of the field of numbers that a model learns to give.
pub const NUMBERS: &str = "numbers";

/// The name of the field of tokens.
pub const TEXT: &str = "text";
/// The name of the field of the tokens that a text is translated to.
pub const TARGET: &str = "target";

/// A named field of every sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name, such as `image` or `label`.
    pub name: String,
    /// The sizes of a sample: [height, width, channels] of an image, none of a single number. Of a ragged field these are
    /// the sizes of one of the sample's positions.
    pub shape: Vec<usize>,
    /// The type of a stored element.
    pub element: Element,
    /// The conversion of an element when a batch is drawn.
    pub read: Read,
    /// The stored element that stands for a target that is ignored; [`IGNORED`] itself always does.
    pub ignored: Option<u32>,
    /// Whether each sample has positions of its own number.
    pub ragged: bool,
    /// Of a stream: how many tokens it has. A sample is a window of them, and its targets are the tokens that follow each.
    pub stream: Option<usize>,
    /// Of standardised numbers: the column that each element comes from. Empty of all else.
    pub scales: Vec<Scale>,
}

impl Field {
    /// Images of bytes, [height, width, channels], which become 0 to 1.
    pub fn image([height, width, channels]: [usize; 3]) -> Field {
        let read = Read::Scaled { scale: 1.0 / 255.0, shift: 0.0 };
        let shape = vec![height, width, channels];
        Field { shape, element: Element::U8, ..Field::named(IMAGE, read) }
    }

    /// Labels: words that are drawn as they are, one where `shape` is empty, else one for each position.
    pub fn label(shape: &[usize], element: Element) -> Field {
        Field { shape: shape.to_vec(), element, ..Field::named(LABEL, Read::AsIs) }
    }

    /// So many yes-or-no answers, a byte each: 1 or 0.
    pub fn answers(count: usize) -> Field {
        Field { shape: vec![count], ..Field::named(ANSWERS, Read::FLOAT) }
    }

    /// Standardised numbers of these columns: the features of a table, or its targets.
    pub fn table(name: &str, scales: Vec<Scale>) -> Field {
        Field { shape: vec![scales.len()], element: Element::F32, scales, ..Field::named(name, Read::FLOAT) }
    }

    /// Tokens, `length` of each sample, in the narrowest type that holds them and one more that stands for none.
    pub fn of_tokens(unit: Unit, vocabulary: usize, length: usize) -> Field {
        let (element, none) = match (unit, vocabulary) {
            (Unit::Bytes, _) => (Element::U8, None),
            (_, ..=255) => (Element::U8, Some(u8::MAX.into())),
            (_, ..=65_535) => (Element::U16, Some(u16::MAX.into())),
            _ => (Element::U32, None),
        };
        Field { shape: vec![length], element, ignored: none, ..Field::named(TEXT, Read::AsIs) }
    }

    /// The same of texts that are filled up: bytes have no value to spare for what is no token.
    pub fn of_texts(unit: Unit, vocabulary: usize, length: usize) -> Field {
        let field = Field::of_tokens(unit, vocabulary, length);
        let element = if field.ignored.is_none() { Element::U32 } else { field.element };
        Field { element, ..field }
    }

    /// A single byte of that name.
    fn named(name: &str, read: Read) -> Field {
        let (name, shape, scales) = (name.into(), Vec::new(), Vec::new());
        Field { name, shape, element: Element::U8, read, ignored: None, ragged: false, stream: None, scales }
    }

    /// Elements of a sample, or of one of its positions where the field is ragged.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of a sample, or of one of its positions where the field is ragged.
    pub fn bytes(&self) -> usize {
        self.elements() * self.element.bytes()
    }

    /// Bytes from one sample to the next on a device, which are whole words.
    pub fn stride(&self) -> usize {
        self.bytes().next_multiple_of(4)
    }

    /// Whether a label of this field may be ignored.
    pub fn may_be_ignored(&self) -> bool {
        self.ignored.is_some() || self.element == Element::U32 || self.stream.is_some()
    }
}

/// The fields of every sample of a split, in the order of its columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// The fields; no two have one name.
    pub fields: Vec<Field>,
}

impl Schema {
    /// A schema of these fields.
    ///
    /// # Errors
    /// [`Error::Input`] for two fields of one name, a field of size 0, and floats that are to be drawn as words.
    pub fn new(fields: Vec<Field>) -> Result<Schema> {
        for (at, field) in fields.iter().enumerate() {
            let Field { name, shape, element, read, .. } = field;
            if fields[..at].iter().any(|before| before.name == *name) {
                return Err(Error::input(format!("a sample has two fields {name}, expected one of each name")));
            }
            if shape.iter().try_fold(element.bytes(), |all, size| all.checked_mul(*size)).is_none_or(|all| all == 0) {
                return Err(Error::input(format!("field {name} of shape {shape:?}: expected at least one element")));
            }
            if *element == Element::F32 && *read == Read::AsIs {
                return Err(Error::input(format!(
                    "field {name}: floats are read with a scale and a shift, not as words"
                )));
            }
        }
        Ok(Schema { fields })
    }

    /// The field of that name.
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field of that name, or what there is instead.
    ///
    /// # Errors
    /// [`Error::Input`] if there is none.
    pub fn field(&self, name: &str) -> Result<&Field> {
        self.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.fields.iter().map(|field| &*field.name).collect();
            let hint = crate::suggest::hint(name, names.iter().copied());
            Error::input(format!("the data has the fields {}, expected one {name}{hint}", names.join(", ")))
        })
    }

    /// The field that a model reads: the one of that name, or without a name the first.
    ///
    /// # Errors
    /// [`Error::Input`] if there is none.
    pub fn input(&self, name: Option<&str>) -> Result<&Field> {
        match name {
            Some(name) => self.field(name),
            None => self.fields.first().ok_or_else(|| Error::input("the data has no fields, expected one to read")),
        }
    }

    /// The field of tokens whose targets are its own: a stream, or documents.
    pub fn own_targets(&self) -> Option<&Field> {
        let alone = || if let [only] = &self.fields[..] { Some(only).filter(|field| field.name == TEXT) } else { None };
        self.fields.iter().find(|field| field.stream.is_some()).or_else(alone)
    }

    /// The field of targets: classes, answers, numbers, a translation, or tokens whose targets are their own.
    ///
    /// # Errors
    /// [`Error::Input`] if there is none.
    pub fn target(&self) -> Result<&Field> {
        let known = [LABEL, ANSWERS, NUMBERS, TARGET].iter().find_map(|name| self.get(name));
        let known = known.or_else(|| self.own_targets());
        known.map_or_else(|| self.field(LABEL), Ok)
    }

    /// Bytes of a sample on a device.
    pub fn stride(&self) -> usize {
        self.fields.iter().map(Field::stride).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_schema_is_refused() {
        let image = || Field::image([2, 3, 1]);
        let float = Field { element: Element::F32, ..Field::label(&[], Element::U8) };
        let refused = |fields: Vec<Field>, word: &str| {
            let error = Schema::new(fields).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused(vec![image(), image()], "two fields image");
        refused(vec![Field::image([2, 0, 1])], "[2, 0, 1]");
        refused(vec![Field::image([usize::MAX; 3])], "field image");
        refused(vec![float], "floats");
        let schema = Schema::new(vec![image(), Field::label(&[], Element::U16)]).unwrap();
        assert_eq!((schema.stride(), schema.fields[1].bytes()), (8 + 4, 2));
        assert!(schema.field("imag").unwrap_err().to_string().contains("did you mean 'image'"));
    }
}
