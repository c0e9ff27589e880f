//! The parameters of a layer, with their first values, and the shape of its result.

use crate::ir::graph::Layout;
use crate::model::layers::positions::SMALL;

/// A parameter as the weight file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Its name, such as `weight`; in a model the index of its layer stands before it: `0.weight`.
    pub name: String,
    /// Its sizes: [O, I, KH, KW] ([I, O, KH, KW] of a transposed convolution) or [units, features] for weights, one size
    /// for a bias.
    pub file_shape: Vec<usize>,
    /// Values that flow into one output of the layer.
    pub fan_in: usize,
    /// Outputs of the layer that one value flows into.
    pub fan_out: usize,
    /// Whether it is a bias.
    pub is_bias: bool,
    /// The initial value of every element; none if it is drawn, or is a bias and starts as 0.
    pub starts_at: Option<f32>,
    /// How it is drawn whatever the method of the run; none if that decides.
    pub spread: Option<Spread>,
    /// Whether it is a running statistic, which no gradient reaches and each step of training moves.
    pub running: bool,
}

/// How the first values of a parameter are spread, where a layer has a way of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spread {
    /// Evenly from minus this bound to the bound.
    Uniform(f64),
    /// Normally about 0 with this standard deviation.
    Normal(f64),
    /// Normally about 0 with this standard deviation, divided by the root of how many such weights the model has: of those that
    /// end the branches beside residual connections (GPT-2).
    Residual(f64),
}

impl ParamSpec {
    /// A weight that is drawn at random: `fans` are the values that flow into one output, and the outputs that one value
    /// flows into.
    pub fn drawn(file_shape: Vec<usize>, fans: [usize; 2]) -> Self {
        let [fan_in, fan_out] = fans;
        let name = "weight".into();
        ParamSpec { name, file_shape, fan_in, fan_out, is_bias: false, starts_at: None, spread: None, running: false }
    }

    /// A bias of that many outputs, which starts as 0.
    pub fn bias(outputs: usize, fans: [usize; 2]) -> Self {
        ParamSpec { name: "bias".into(), is_bias: true, ..Self::drawn(vec![outputs], fans) }
    }

    /// A parameter of one value per channel, which all start alike.
    pub fn per_channel(name: &str, channels: usize, starts_at: f32) -> Self {
        let spec = Self::drawn(vec![channels], [1, 1]);
        ParamSpec { name: name.into(), is_bias: name == "bias", starts_at: Some(starts_at), ..spec }
    }

    /// The same parameter under another name, drawn in this way, a bias too.
    pub fn spread(self, name: impl Into<String>, spread: Spread) -> Self {
        ParamSpec { name: name.into(), spread: Some(spread), ..self }
    }

    /// The same parameter as a running statistic.
    pub fn running(self) -> Self {
        ParamSpec { running: true, ..self }
    }

    /// How it lies in memory: the weights of a convolution with their first two axes last, as [KH, KW, I, O], all else as
    /// in the file.
    pub fn layout(&self) -> Layout {
        let perm = if self.file_shape.len() == 4 { vec![2, 3, 1, 0] } else { (0..self.file_shape.len()).collect() };
        Layout { file_shape: self.file_shape.clone(), perm }
    }

    /// Lets this weight of a layer be that of an embedding, which then starts as this one would: its own numbers would be too
    /// large for scores.
    pub(in crate::model) fn tie(self, embedding: Option<&mut Inferred>) -> Result<(), String> {
        let found = embedding.and_then(|embedding| embedding.params.first_mut());
        let found = found.ok_or("found `tied`, expected the name of an earlier embedding")?;
        if found.file_shape != self.file_shape {
            let (tied, own) = (&found.file_shape, &self.file_shape);
            return Err(format!(
                "found a weight of {own:?}, tied to an embedding of {tied:?}: expected as many units as tokens, after as many \
                 features as its size"
            ));
        }
        // One before a transformer is small already.
        let spread = found.spread.filter(|spread| *spread == SMALL).or(self.spread);
        *found = ParamSpec { name: std::mem::take(&mut found.name), spread, ..self };
        Ok(())
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.file_shape.iter().product()
    }
}

/// A weight of that shape, and a bias for each of `outputs` where `bias`.
pub(super) fn weight_and_bias(weight: Vec<usize>, outputs: usize, fans: [usize; 2], bias: bool) -> Vec<ParamSpec> {
    let bias = bias.then(|| ParamSpec::bias(outputs, fans));
    std::iter::once(ParamSpec::drawn(weight, fans)).chain(bias).collect()
}

/// The output of a layer for its inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Inferred {
    /// Sizes of its result for one sample: [H, W, C] or `[features]`.
    pub shape: Vec<usize>,
    /// Its parameters: weights, then bias, or none.
    pub params: Vec<ParamSpec>,
}

impl Inferred {
    /// A result of this shape, from a layer without parameters.
    pub fn of(shape: impl Into<Vec<usize>>) -> Self {
        Inferred { shape: shape.into(), params: Vec::new() }
    }
}
