//! Positions: a row of numbers that is added at each place of a sequence, so that layers without an order know it.

use super::*;
use crate::ir::graph::TensorInfo;
use crate::ir::values::Values;
use crate::model::Mode;
use crate::model::layers::keys::{Kind, words};
use crate::model::layers::params::{ParamSpec, Spread};
use crate::ops::pointwise::add::Add;
use crate::ops::pointwise::add_bias::AddBias;
use crate::ops::sequence::embedding::Embedding;
use crate::ops::sequence::step_place::StepPlace;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::slice::Slice;

/// What is added at each place of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Positions {
    /// Nothing.
    #[default]
    None,
    /// A row that is learned.
    Learned,
    /// Sines and cosines of wavelengths from 2π to 20,000π (Vaswani and others, 2017).
    Sinusoidal,
}

/// The key of positions: files of a version without it had none.
pub(super) const POSITIONS: Key = Key::new(Kind::Choice(Positions::WORDS)).omitted();

/// The standard deviation of a transformer's first weights, as GPT-2 has it.
pub(super) const SMALL: Spread = Spread::Normal(0.02);

words!(Positions { None = "none", Learned = "learned", Sinusoidal = "sinusoidal", });

impl Positions {
    /// Its parameters, for this many places of this many numbers.
    pub(super) fn params(self, places: usize, size: usize) -> Option<ParamSpec> {
        let learned = || ParamSpec::drawn(vec![places, size], [1, size]).spread("positions", SMALL);
        (self == Positions::Learned).then(learned)
    }

    /// Adds them to x [batch, places, size], those of this many places or, if they are learned, of the parameter; in generation, that
    /// of the token which the step reads.
    pub(super) fn build(
        self,
        graph: &mut Graph,
        at: &Inputs,
        x: Tensor,
        (places, rows): (usize, Option<Tensor>),
    ) -> Result<Tensor> {
        let size = at.shape.last().copied().unwrap_or(1);
        let rows = match self {
            Positions::None => None,
            Positions::Learned => rows,
            Positions::Sinusoidal => {
                let info = TensorInfo::floats("sinusoids", [places, size]);
                Some(graph.constant(info, || Values::Float(sinusoids(places, size))))
            }
        };
        let Some(rows) = rows else { return Ok(x) };
        let (&[most, size], &[batch, places, _]) = (graph.shape(rows), graph.shape(x)) else {
            return Err(Error::failed("positions are [places, size], of a sequence [batch, places, size]"));
        };
        let reshaped =
            |graph: &mut Graph, x: Tensor, shape: Shape| Ok::<_, Error>(graph.apply(Reshape { shape }, &[x])?[0]);
        if at.build.mode == Mode::Generation {
            let place = graph.apply(StepPlace { batch, offset: 0, most: most - 1 }, &[at.control()?])?[0];
            let row = graph.apply(Embedding, &[place, rows])?[0];
            let row = reshaped(graph, row, Shape::from([batch, 1, size]))?;
            return Ok(graph.apply(Add, &[x, row])?[0]);
        }
        if places > most {
            return Err(Error::input(format!("found {places} places, expected at most {most}, which have positions")));
        }
        let rows = match places < most {
            true => {
                let first = TensorInfo::words("places", [places]);
                let first = graph.constant(first, || Values::Word((0..places as u32).collect()));
                let rows = graph.apply(Embedding, &[first, rows])?[0];
                reshaped(graph, rows, Shape::from([places * size]))?
            }
            false => rows,
        };
        let x = reshaped(graph, x, Shape::from([batch, places * size]))?;
        let sum = graph.apply(AddBias::default(), &[x, rows])?[0];
        reshaped(graph, sum, Shape::from([batch, places, size]))
    }

    /// Adds them to a result in ONNX, [N, places, size].
    pub(super) fn onnx(self, onnx: &mut Onnx, x: &str, [places, most, size]: [usize; 3], rows: Option<&String>) {
        let sinusoids =
            (self == Positions::Sinusoidal).then(|| onnx.floats("_sinusoids", &[most, size], sinusoids(most, size)));
        let Some(mut rows) = rows.cloned().or(sinusoids) else { return };
        if places < most {
            let (start, end) = (onnx.ints("_first", vec![0]), onnx.ints("_last", vec![places as i64]));
            rows = onnx.node("_positions", "Slice", &[&rows, &start, &end], &[]);
        }
        onnx.node("", "Add", &[x, &rows], &[]);
    }
}

/// Sines, and after each the cosine, of place / 10000^(2i / size).
fn sinusoids(places: usize, size: usize) -> Vec<f32> {
    let at = |n: usize| {
        let (place, i) = ((n / size) as f64, n % size);
        let angle = place / 10_000f64.powf((i / 2 * 2) as f64 / size as f64);
        (if i.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
    };
    (0..places * size).map(at).collect()
}

/// Rows of a parameter, from `first` on.
pub(super) fn part(graph: &mut Graph, param: Tensor, first: usize, rows: usize) -> Result<Tensor> {
    let (shape, elements) = (graph.shape(param).to_vec(), graph.info(param).elements());
    let (each, sizes) = (elements / shape[0], [&[rows], &shape[1..]].concat());
    let flat = graph.apply(Reshape { shape: Shape::from([1, elements]) }, &[param])?[0];
    let part = graph.apply(Slice { offset: first * each, columns: rows * each }, &[flat])?[0];
    Ok(graph.apply(Reshape { shape: Shape(sizes) }, &[part])?[0])
}
