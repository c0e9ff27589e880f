//! The fields of a sample in a step: the default fields without data, and each field on the device.

use crate::data::schema::{Element, FEATURES, Field, NUMBERS, Read, Schema, TARGET};
use crate::data::{Column, Split};
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Tensor, TensorInfo};
use crate::model::{Model, Task};
use crate::ops::batch::draw::Draw;
use crate::train::step::window::Window;
use std::ops::Range;

/// A field of the data set on the device.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The field.
    pub field: Field,
    /// Its bytes, [samples, stride]; with a window, those of two chunks.
    pub tensor: Tensor,
    /// The drawn batch, [batch, …].
    pub drawn: Tensor,
    /// Of a stream that comes through a window, as words: whether these are the tokens that follow those of a window.
    pub follows: Option<bool>,
}

impl Stored {
    /// A stream that comes through a window, as words: the tokens of each window of it, and those that follow them.
    pub(super) fn passing(
        graph: &mut Graph,
        control: Tensor,
        field: &Field,
        window: &Window,
        shuffle: bool,
    ) -> Result<Vec<Stored>> {
        let field = Field { element: Element::U32, ignored: None, ..field.clone() };
        let Field { element, read, ignored, .. } = field;
        let one = |follows: bool| {
            let name = format!("{}{}", if follows { "next of " } else { "" }, field.name);
            let tensor = graph.tensor(TensorInfo::bytes(&name, [window.held(), field.stride()]));
            let (batch, shape, shuffle) = (window.batch, field.shape.clone(), shuffle && !window.tracks);
            let draw = Draw { batch, shape, element, read, ignored, shuffle, window: window.rows };
            let drawn = graph.apply(draw, &[control, tensor])?[0];
            Ok(Stored { field: field.clone(), tensor, drawn, follows: Some(follows) })
        };
        [false, true].into_iter().map(one).collect()
    }

    /// The column of a split that belongs here.
    ///
    /// # Errors
    /// [`Error::Input`] if there is none, or one of other elements.
    pub fn column<'a>(&self, split: &'a Split) -> Result<&'a Column> {
        let Field { name, shape, element, .. } = &self.field;
        let missing = || Error::input(format!("the data has no field {name}, expected one"));
        let column = split.column(name).ok_or_else(missing)?;
        let found = column.field();
        match (&found.shape, found.element) == (shape, if self.follows.is_some() { found.element } else { *element }) {
            true => Ok(column),
            false => Err(Error::input(format!(
                "field {name}: found {:?} of {:?}, expected {shape:?} of {element:?}",
                found.shape, found.element
            ))),
        }
    }

    /// The samples `runs` of a split as the device has them; of a stream the windows that begin `phase` tokens later.
    ///
    /// # Errors
    /// As [`Stored::column`] and [`Column::padded_runs`].
    pub(in crate::train) fn rows(&self, split: &Split, runs: &[Range<usize>], phase: usize) -> Result<Vec<u8>> {
        let column = self.column(split)?;
        match self.follows {
            None => column.padded_runs(runs),
            Some(follows) => Ok(column.windows(runs, phase, follows)),
        }
    }
}

/// The tokens of a sample, or the windows of a stream of this many tokens.
fn tokens(model: &Model, stream: Option<usize>) -> Result<Field> {
    let of = if stream.is_some() { Field::of_tokens } else { Field::of_texts };
    Ok(Field { stream, ..of(model.tokenizer()?.unit(), model.vocabulary(), model.input[0]) })
}

/// The fields that a model reads where there is no data to say: images of bytes or the columns of a table, and the targets
/// of its task.
///
/// # Errors
/// [`Error::Input`] as [`Model::classes`].
pub fn schema_of(model: &Model) -> Result<Schema> {
    let outputs = model.classes()?;
    let input = match model.reads_table() {
        true => Field::table(FEATURES, model.columns.clone()),
        false if model.text.is_some() => tokens(model, None)?,
        false => match model.input[..] {
            [height, width, channels] => Field::image([height, width, channels]),
            _ => Field { shape: model.input.clone(), element: Element::F32, read: Read::FLOAT, ..Field::image([1; 3]) },
        },
    };
    let target = match &model.task {
        Task::Next if model.translates() => {
            let unit = model.target.as_ref().map_or(model.tokenizer()?.unit(), crate::text::Tokenizer::unit);
            let places = model.written().unwrap_or(1);
            Field { name: TARGET.into(), ..Field::of_texts(unit, model.target_vocabulary(), places) }
        }
        Task::Next => return Schema::new(vec![tokens(model, Some(model.input[0]))?]),
        Task::Classify => {
            let of_sample = if model.is_segmentation()? { model.input[..2].to_vec() } else { Vec::new() };
            Field::label(&of_sample, if outputs <= 256 { Element::U8 } else { Element::U16 })
        }
        Task::Answers => Field::answers(outputs),
        Task::Regress { targets } => Field::table(NUMBERS, targets.clone()),
    };
    let name = model.input_name().map_or_else(|| input.name.clone(), str::to_owned);
    Schema::new(vec![Field { name, ..input }, target])
}
