//! The fields of a sample: what each is called, its sizes, how its elements are stored and what they become.

use crate::error::{Error, Result};
pub use crate::ir::element::{Element, IGNORED, Read};

/// The name of the field of images, and of a model's one input.
pub const IMAGE: &str = "image";
/// The name of the field of targets: a class, a mask of classes.
pub const LABEL: &str = "label";

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
    /// What an element becomes when a batch is drawn.
    pub read: Read,
    /// The stored element that stands for a target that is ignored; [`IGNORED`] itself always does.
    pub ignored: Option<u32>,
    /// Whether each sample has positions of its own number.
    pub ragged: bool,
}

impl Field {
    /// Images of bytes, [height, width, channels], which become 0 to 1.
    pub fn image([height, width, channels]: [usize; 3]) -> Field {
        let read = Read::Scaled { scale: 1.0 / 255.0, shift: 0.0 };
        let shape = vec![height, width, channels];
        Field { name: IMAGE.into(), shape, element: Element::U8, read, ignored: None, ragged: false }
    }

    /// Labels: words that are drawn as they are, one where `shape` is empty, else one for each position.
    pub fn label(shape: &[usize], element: Element) -> Field {
        let (name, shape) = (LABEL.into(), shape.to_vec());
        Field { name, shape, element, read: Read::AsIs, ignored: None, ragged: false }
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
        self.ignored.is_some() || self.element == Element::U32
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
    /// [`Error::Input`] where there is none.
    pub fn field(&self, name: &str) -> Result<&Field> {
        self.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.fields.iter().map(|field| &*field.name).collect();
            let hint = crate::suggest::hint(name, names.iter().copied());
            Error::input(format!("the data has the fields {}, expected one {name}{hint}", names.join(", ")))
        })
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
