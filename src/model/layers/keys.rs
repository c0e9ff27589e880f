//! The keys of a layer, each declared once: the model file, the description in weight files and every check follow from it.

use crate::model::layers::LARGEST;
use crate::ops::conv::geometry::Padding;
use std::fmt;

/// The value of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A size.
    Size(usize),
    /// Rows and columns.
    Pair([usize; 2]),
    /// A number in double precision.
    Number(f64),
    /// A number in single precision.
    Single(f32),
    /// One of a few words.
    Choice(&'static str),
    /// Yes or no.
    Flag(bool),
    /// The padding around an image.
    Padding(Padding),
}

impl fmt::Display for Value {
    /// As a model file has it. Rust's Debug writes a number so that it always reads as a float.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Value::Size(size) => write!(f, "{size}"),
            Value::Pair(sizes) => write!(f, "{sizes:?}"),
            Value::Number(number) => write!(f, "{number:?}"),
            Value::Single(number) => write!(f, "{number:?}"),
            Value::Choice(word) => write!(f, "\"{word}\""),
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Padding(Padding::Valid) => f.write_str("\"valid\""),
            Value::Padding(Padding::Same) => f.write_str("\"same\""),
            Value::Padding(Padding::Zeros(sides)) => match sides {
                [n, ..] if *sides == [*n; 4] => write!(f, "{n}"),
                _ => write!(f, "{sides:?}"),
            },
        }
    }
}

/// The numbers that a key may have.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The expected value, for messages.
    pub expected: &'static str,
    /// Whether a finite number is among them.
    pub fits: fn(f64) -> bool,
}

/// The constant added to a variance.
pub const ABOVE_0: Range = Range { expected: "a number above 0", fits: |x| x > 0.0 };
/// A share.
pub const FROM_0_TO_1: Range = Range { expected: "a number from 0 to 1", fits: |x| (0.0..=1.0).contains(&x) };
/// A share that leaves something over.
pub const BELOW_1: Range = Range { expected: "a number from 0 to less than 1", fits: |x| (0.0..1.0).contains(&x) };
/// Any finite number.
pub const FINITE: Range = Range { expected: "a finite number", fits: |_| true };

/// The constraint on the value of a key.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A whole number from 1 to [`LARGEST`].
    Size,
    /// A whole number from 0 to [`LARGEST`].
    Count,
    /// Two of them, or one for both.
    Pair,
    /// A number in double precision.
    Number(Range),
    /// A number in single precision.
    Single(Range),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// `"valid"`, `"same"`, a number of zeros on all sides, of rows and columns, or on each side.
    Padding,
}

impl Kind {
    /// The expected value in a file, for messages.
    pub fn expected(&self) -> String {
        match self {
            Kind::Size => format!("a whole number from 1 to {LARGEST}"),
            Kind::Count => format!("a whole number from 0 to {LARGEST}"),
            Kind::Pair => format!("n or [h, w], each from 1 to {LARGEST}"),
            Kind::Number(range) | Kind::Single(range) => range.expected.into(),
            Kind::Choice(words) => one_of(words),
            Kind::Flag => "true or false".into(),
            Kind::Padding => format!(
                "\"valid\", \"same\", n, [rows, columns] or [top, bottom, left, right], each from 0 to {LARGEST}"
            ),
        }
    }

    /// Whether a value is what it must be, or a sentence that says what was found and what was expected.
    pub fn check(&self, key: &str, value: Value) -> Result<(), String> {
        let sizes = |sizes: &[usize]| match sizes.iter().find(|size| !(1..=LARGEST).contains(size)) {
            Some(size) => Err(format!("found {key} = {size}, expected 1 to {LARGEST}")),
            None => Ok(()),
        };
        let number = |range: &Range, x: f64, shown: &dyn fmt::Display| match x.is_finite() && (range.fits)(x) {
            true => Ok(()),
            false => Err(format!("found {key} = {shown}, expected {}", range.expected)),
        };
        match (self, value) {
            (Kind::Size, Value::Size(size)) => sizes(&[size]),
            (Kind::Count, Value::Size(size)) if size <= LARGEST => Ok(()),
            (Kind::Pair, Value::Pair(pair)) => sizes(&pair),
            (Kind::Number(range), Value::Number(x)) => number(range, x, &x),
            (Kind::Single(range), Value::Single(x)) => number(range, x.into(), &x),
            (Kind::Choice(words), Value::Choice(word)) if words.contains(&word) => Ok(()),
            (Kind::Flag, Value::Flag(_)) => Ok(()),
            (Kind::Padding, Value::Padding(Padding::Zeros(sides))) if sides.iter().any(|n| *n > LARGEST) => {
                Err(format!("found {key} = {value}, expected {}", self.expected()))
            }
            (Kind::Padding, Value::Padding(_)) => Ok(()),
            _ => Err(format!("found {key} = {value}, expected {}", self.expected())),
        }
    }
}

/// Words between quotes, the last one after "or".
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}

/// A key of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The constraint on its value.
    pub kind: Kind,
    /// Whether it has no default.
    pub required: bool,
    /// Whether files omit it where it has its default. All other keys are always written.
    pub omitted: bool,
    /// Whether the model file does not have it, and its default holds.
    pub hidden: bool,
    /// Whether it is the number of the data's tokens where the model file does not have it.
    pub vocabulary: bool,
    /// Whether it is the number of places of the model's text where the model file does not have it.
    pub context: bool,
}

impl Key {
    /// A key of this kind with a default, which files always have.
    pub const fn new(kind: Kind) -> Key {
        Key { name: "", kind, required: false, omitted: false, hidden: false, vocabulary: false, context: false }
    }

    /// The same key, which files omit where it has its default.
    pub const fn omitted(self) -> Key {
        Key { omitted: true, ..self }
    }
}

/// The number of the data's tokens.
pub const VOCABULARY: Key = Key { vocabulary: true, ..SIZE };
/// The number of places of the model's text.
pub const CONTEXT: Key = Key { context: true, omitted: true, ..SIZE };
/// A number of things, none perhaps.
pub const COUNT: Key = Key::new(Kind::Count);
/// A size.
pub const SIZE: Key = Key::new(Kind::Size);
/// Rows and columns.
pub const PAIR: Key = Key::new(Kind::Pair);
/// The padding around an image.
pub const PADDING: Key = Key::new(Kind::Padding);
/// Whether windows that end beyond the image count.
pub const CEIL: Key = Key::new(Kind::Flag).omitted();
/// Whether a layer has a bias: files of a version without the key had one.
pub const BIAS: Key = Key::new(Kind::Flag).omitted();

/// The padding of words and numbers: 0, 1, 2 or 4 of them. `None` where there are others.
pub(crate) fn padding(word: Option<&str>, numbers: &[usize]) -> Option<Padding> {
    match (word, numbers) {
        (Some("valid"), []) => Some(Padding::Valid),
        (Some("same"), []) => Some(Padding::Same),
        (None, &[n]) => Some(Padding::all(n)),
        (None, &[rows, columns]) => Some(Padding::sides([rows, rows, columns, columns])),
        (None, &[top, bottom, left, right]) => Some(Padding::sides([top, bottom, left, right])),
        _ => None,
    }
}

/// Whether a recurrence carries its state over: files of a version without the key had none that does.
pub const CARRY: Key = Key::new(Kind::Flag).omitted();

/// A type of field that a key can have.
pub trait Field: Copy {
    /// The type of its constructor argument.
    type Given: Into<Self>;
    /// Its value.
    fn value(self) -> Value;
    /// The field of a value, where it is one.
    fn of(value: Value) -> Option<Self>;
}

/// Height and width, given as `[h, w]` or as one number for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair(pub [usize; 2]);

impl From<usize> for Pair {
    fn from(size: usize) -> Self {
        Pair([size; 2])
    }
}

impl From<[usize; 2]> for Pair {
    fn from(sizes: [usize; 2]) -> Self {
        Pair(sizes)
    }
}

impl From<Pair> for [usize; 2] {
    fn from(pair: Pair) -> Self {
        pair.0
    }
}

macro_rules! field {
    ($type:ty, $given:ty, $variant:ident) => {
        impl Field for $type {
            type Given = $given;
            fn value(self) -> Value {
                Value::$variant(self)
            }
            fn of(value: Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some(value),
                    _ => None,
                }
            }
        }
    };
}
field!(usize, usize, Size);
field!([usize; 2], Pair, Pair);
field!(f64, f64, Number);
field!(f32, f32, Single);
field!(bool, bool, Flag);

/// Makes an enum a field that is one of a few words.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal,)* }) => {
        impl $name {
            /// The words of model files.
            pub(in crate::model) const WORDS: &'static [&'static str] = &[$($word),*];
        }

        impl $crate::model::layers::keys::Field for $name {
            type Given = $name;

            fn value(self) -> $crate::model::layers::keys::Value {
                $crate::model::layers::keys::Value::Choice(match self {
                    $($name::$variant => $word,)*
                })
            }

            fn of(value: $crate::model::layers::keys::Value) -> Option<Self> {
                match value {
                    $($crate::model::layers::keys::Value::Choice($word) => Some($name::$variant),)*
                    _ => None,
                }
            }
        }
    };
}
pub(super) use words;

field!(Padding, Padding, Padding);

/// The code that `layer!` generates for the keys of a layer.
pub trait Keyed: Sized {
    /// The name of the type of layer in files.
    const NAME: &'static str;
    /// Its keys: those that are required, then those that have a default.
    fn keys() -> Vec<Key>;
    /// The values of its keys, in their order.
    fn values(&self) -> Vec<Value>;
    /// The layer of these values, defaults if there is none; `None` if a required one is missing, or one is of
    /// another kind.
    fn of(values: &[Option<Value>]) -> Option<Self>;
}
