//! The inside of a net for one sample: every layer's result, and the gradient with respect to the input.

use crate::device::cpu::Executor;
use crate::error::{Error, Result};
use crate::ir::graph::{Graph, Tensor, TensorInfo};
use crate::ir::op::Real;
use crate::ir::values::Values;
use crate::model::formats::weights::{Weights, to_memory};
use crate::model::normalise::ChannelNorm;
use crate::model::{Build, Model, Normalisation};
use crate::ops::loss::softmax_ce::SoftmaxCe;
use crate::step::control::Control;

/// A net for one sample, built layer by layer without fusion, on the native CPU.
///
/// `f32` serves the page; as `f64` it can be compared with finite differences.
#[derive(Debug)]
pub struct Inside<F: Real = f32> {
    executor: Executor<F>,
    normalisation: Normalisation,
    normalise: Option<ChannelNorm>,
    input: Tensor,
    layers: Vec<Tensor>,
    /// The gradient of the loss with respect to the logits, from which everything flows back.
    upstream: Tensor,
    gradient: Option<Tensor>,
    /// How many nodes come before the gradients.
    forward: usize,
}

impl<F: Real> Inside<F> {
    /// Builds the net; its weights are zero.
    ///
    /// # Errors
    /// [`Error::Input`] for a model that is not sound, or larger than the memory.
    pub fn new(model: &Model) -> Result<Self> {
        model.check()?;
        let [height, width, channels] = model.image()?;
        let mut graph = Graph::new();
        let input = graph.tensor(TensorInfo::floats("input", [1, height, width, channels]));
        let layers = model.build_each(&mut graph, input, Build::INFERENCE)?;
        let layers: Vec<Tensor> = layers.into_iter().map(|given| given.built.result).collect();
        let logits = layers.last().copied().unwrap_or(input);
        let control = graph.tensor(TensorInfo::words("control", [Control::WORDS]));
        let label = graph.tensor(TensorInfo::words("label", [model.positions()?]));
        let loss = graph.apply(SoftmaxCe::default(), &[control, logits, label])?;
        let forward = graph.nodes.len();
        let gradient = graph.gradients(loss[0], &[input])?[0];
        let mut executor = Executor::new(graph, true)?;
        let one = Control { valid: 1, samples: 1, ..Control::default() };
        executor.set(control, Values::Word(one.words()))?;
        let (normalisation, normalise) = (model.normalisation, model.normalise.clone());
        Ok(Inside { executor, normalisation, normalise, input, layers, upstream: loss[2], gradient, forward })
    }

    /// Takes weights.
    ///
    /// # Errors
    /// [`Error::Input`] if a parameter is missing or has another shape.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<()> {
        for param in self.executor.graph().params.clone() {
            let missing = || Error::input(format!("found no {} {}, expected it", param.name, param.file_shape));
            let found = weights.get(&param.name).filter(|found| found.shape == param.file_shape.0);
            let values = to_memory(&param.layout, &found.ok_or_else(missing)?.values)?;
            let values = values.into_iter().map(|x| F::of(x.into())).collect();
            self.executor.set(param.tensor, Values::Float(values))?;
        }
        Ok(())
    }

    /// The input of the first layer for pixels 0–255, [height, width, channels].
    pub fn normalised(&self, pixels: &[u8]) -> Vec<F> {
        let [scale, shift] = [self.normalisation.scale, self.normalisation.shift].map(|x| F::of(x.into()));
        let value = |(at, byte): (usize, &u8)| {
            let value = F::of((*byte).into()) * scale + shift;
            let Some(norm) = &self.normalise else { return value };
            let [scale, shift] = norm.of(at % norm.mean.len()).map(|x| F::of(x.into()));
            value * scale + shift
        };
        pixels.iter().enumerate().map(value).collect()
    }

    /// Runs the net on one sample, [height, width, channels] as [`Inside::normalised`] gives it; returns the logits.
    ///
    /// # Errors
    /// [`Error::Failed`] if the sample has another size.
    pub fn run(&mut self, sample: Vec<F>) -> Result<Vec<F>> {
        self.executor.set(self.input, Values::Float(sample))?;
        (0..self.forward).for_each(|node| self.executor.run(node));
        self.layer(self.layers.len() - 1).map(|(_, logits)| logits)
    }

    /// The result of a layer for the sample that was run last: its sizes, [height, width, channels] or `[features]`, and
    /// its elements.
    ///
    /// # Errors
    /// [`Error::Failed`] if there is no such layer.
    pub fn layer(&self, index: usize) -> Result<(Vec<usize>, Vec<F>)> {
        let layer = self.layers.get(index).ok_or_else(|| Error::failed(format!("layer {index}: there is none")))?;
        let shape = self.executor.graph().shape(*layer)[1..].to_vec();
        Ok((shape, self.floats(*layer)?))
    }

    /// The graph and its memory.
    pub(super) fn executor(&self) -> &Executor<F> {
        &self.executor
    }

    /// The saliency of the sample that was run last: the gradient of one class's logit with respect to what the first
    /// layer reads, [height, width, channels] (Simonyan et al., 2013, without taking absolute values).
    ///
    /// # Errors
    /// [`Error::Failed`] if there is no such class.
    pub fn saliency(&mut self, class: usize) -> Result<Vec<F>> {
        let classes = self.executor.graph().info(self.upstream).elements();
        if class >= classes {
            return Err(Error::failed(format!("class {class}: below {classes} is expected")));
        }
        let one_hot = (0..classes).map(|c| F::of(f64::from(u8::from(c == class)))).collect();
        self.executor.set(self.upstream, Values::Float(one_hot))?;
        (self.forward..self.executor.graph().nodes.len()).for_each(|node| self.executor.run(node));
        match self.gradient {
            Some(gradient) => self.floats(gradient),
            // No path leads back to the input.
            None => Ok(vec![F::of(0.0); self.executor.graph().info(self.input).elements()]),
        }
    }

    fn floats(&self, t: Tensor) -> Result<Vec<F>> {
        match self.executor.get(t) {
            Values::Float(values) => Ok(values),
            _ => Err(Error::failed(format!("{} {t} holds no floats", self.executor.graph().info(t).name))),
        }
    }
}
