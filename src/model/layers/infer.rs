//! What a layer makes of its input: shapes and parameters, or why it does not fit.

use crate::error::Result;
use crate::ir::graph::Layout;
use crate::model::layers::{LARGEST, Layer};
use crate::ops::conv::geometry::{Geometry, Padding};

/// A parameter as the weight file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Its name: the index of its layer, then `.weight` or `.bias`.
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
    /// What every value of it starts as; none where it is drawn, or is a bias and starts as 0.
    pub starts_at: Option<f32>,
    /// Whether it is a running statistic, which no gradient reaches and each step of training moves.
    pub running: bool,
}

impl ParamSpec {
    /// How it lies in memory: the weights of a convolution with their first two axes last, as [KH, KW, I, O], all else as
    /// in the file.
    pub fn layout(&self) -> Layout {
        let perm = if self.file_shape.len() == 4 { vec![2, 3, 1, 0] } else { (0..self.file_shape.len()).collect() };
        Layout { file_shape: self.file_shape.clone(), perm }
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.file_shape.iter().product()
    }
}

/// What a layer makes of its input.
#[derive(Clone, Debug, PartialEq)]
pub struct Inferred {
    /// Sizes of its result for one sample: [H, W, C] or `[features]`.
    pub shape: Vec<usize>,
    /// Its parameters: weights, then bias, or none.
    pub params: Vec<ParamSpec>,
}

/// The product of sizes that are all at least 1, where it is no more than `LARGEST`.
pub(in crate::model) fn elements(sizes: &[usize]) -> Option<usize> {
    let product = sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64))?;
    (1..=LARGEST as u64).contains(&product).then_some(product as usize)
}

impl Layer {
    /// The shape of its result and its parameters, for one sample of the shape `input`: [H, W, C] or
    /// `[features]`. `index` is its place in the list of layers.
    ///
    /// # Errors
    /// [`crate::Error::Input`] where the layer does not fit its input or a size is 0 or beyond [`LARGEST`].
    pub fn infer(&self, index: usize, input: &[usize]) -> Result<Inferred> {
        self.infer_joined(index, input, None)
    }

    /// `infer` of a layer that may read another result besides the last, of the shape `other`.
    pub(crate) fn infer_joined(&self, index: usize, input: &[usize], other: Option<&[usize]>) -> Result<Inferred> {
        self.infer_sizes(index, input, other).map_err(|why| self.error(index, why))
    }

    fn infer_sizes(&self, index: usize, input: &[usize], other: Option<&[usize]>) -> Result<Inferred, String> {
        for (key, size) in self.sizes() {
            if !(1..=LARGEST).contains(&size) {
                return Err(format!("found {key} = {size}, expected 1 to {LARGEST}"));
            }
        }
        if elements(input).is_none() {
            return Err(format!("found an input of {input:?}, expected 1 to {LARGEST} elements"));
        }
        let (shape, weight) = match (self, input) {
            (Layer::Conv2d { .. } | Layer::DepthwiseConv2d { .. }, &[h, w, c]) => {
                let Some((conv, [kh, kw], filters)) = self.grouped(c) else { return Err("no convolution".into()) };
                let s = conv.sizes([1, h, w, c], [kh, kw], filters)?;
                let (shape, weight) = (vec![s.g.oh, s.g.ow, filters], vec![filters, s.inner, kh, kw]);
                check_elements("a result", &shape)?;
                check_elements("weights", &weight)?;
                let fans = [s.inner, s.outer].map(|channels| channels * kh * kw);
                return Ok(Inferred { shape, params: weight_and_bias(index, weight, filters, fans) });
            }
            (&Layer::ConvTranspose2d { filters, kernel: [kh, kw], stride: [sh, sw], padding }, &[h, w, c]) => {
                let shape = vec![padding.transposed(h, kh, sh), padding.transposed(w, kw, sw), filters];
                let weight = vec![c, filters, kh, kw];
                check_elements("a result", &shape)?;
                check_elements("weights", &weight)?;
                let fans = [c, filters].map(|channels| channels * kh * kw);
                return Ok(Inferred { shape, params: weight_and_bias(index, weight, filters, fans) });
            }
            (&Layer::MaxPool2d { size, stride } | &Layer::AvgPool2d { size, stride }, &[h, w, c]) => {
                let g = Geometry::new([1, h, w, c], size, c, stride, Padding::Valid)?;
                (vec![g.oh, g.ow, c], Vec::new())
            }
            (&Layer::BatchNorm { epsilon, momentum }, &[.., c]) => {
                check_number("epsilon", epsilon, epsilon > 0.0, EPSILON)?;
                check_number("momentum", momentum, (0.0..=1.0).contains(&momentum), MOMENTUM)?;
                return Ok(Inferred { shape: input.to_vec(), params: norm_params(index, c, true) });
            }
            (&Layer::LayerNorm { epsilon }, &[.., c]) => {
                check_number("epsilon", epsilon, epsilon > 0.0, EPSILON)?;
                return Ok(Inferred { shape: input.to_vec(), params: norm_params(index, c, false) });
            }
            (Layer::BatchNorm { .. } | Layer::LayerNorm { .. }, []) => {
                return Err("found a single number, expected channels".into());
            }
            (Layer::GlobalAvgPool2d {} | Layer::GlobalMaxPool2d {}, &[_, _, c]) => (vec![c], Vec::new()),
            (&Layer::Upsample2d { factor: [fh, fw] }, &[h, w, c]) => (vec![h * fh, w * fw, c], Vec::new()),
            (Layer::Conv2d { .. } | Layer::DepthwiseConv2d { .. } | Layer::ConvTranspose2d { .. }, _)
            | (Layer::MaxPool2d { .. } | Layer::AvgPool2d { .. }, _)
            | (Layer::GlobalAvgPool2d {} | Layer::GlobalMaxPool2d {} | Layer::Upsample2d { .. }, _) => {
                return Err(format!(
                    "found an input of shape {input:?}, expected an image [height, width, channels]: it must come before the flatten"
                ));
            }
            (&Layer::Dense { units }, &[features]) => (vec![units], vec![units, features]),
            (Layer::Dense { .. }, _) => {
                return Err(format!(
                    "found an input of shape {input:?}, expected [features]: a flatten must come before it"
                ));
            }
            (Layer::Custom(custom), _) => {
                let inferred = custom.0.infer(index, input)?;
                let weights = inferred.params.iter().map(|param| ("weights", &param.file_shape));
                for (what, sizes) in std::iter::once(("a result", &inferred.shape)).chain(weights) {
                    check_elements(what, sizes)?;
                }
                return Ok(inferred);
            }
            (Layer::Flatten {}, _) => (vec![input.iter().product()], Vec::new()),
            (&Layer::Dropout { rate }, _) => {
                if !(0.0..1.0).contains(&rate) {
                    return Err(format!("found rate = {rate}, expected at least 0 and below 1"));
                }
                (input.to_vec(), Vec::new())
            }
            (&Layer::Add { from }, _) | (&Layer::Concat { from }, _) => {
                let other = other.ok_or_else(|| format!("found no result of layer {from}, expected one"))?;
                let added = matches!(self, Layer::Add { .. }) && input == other;
                match (input, other) {
                    _ if added => (input.to_vec(), Vec::new()),
                    ([rows @ .., a], [others @ .., b]) if matches!(self, Layer::Concat { .. }) && rows == others => {
                        ([rows, &[a + b]].concat(), Vec::new())
                    }
                    _ => {
                        let but = if matches!(self, Layer::Add { .. }) { "" } else { ", but for the last size" };
                        return Err(format!("found {input:?} and {other:?} of layer {from}, expected one shape{but}"));
                    }
                }
            }
            (Layer::Relu {}, _) => (input.to_vec(), Vec::new()),
            (&Layer::Activation { function, slope }, _) => {
                if !slope.is_finite() || function.slope().is_none() && slope != 0.0 {
                    return Err(format!("found slope = {slope}, expected a finite number, and 0 where there is none"));
                }
                (input.to_vec(), Vec::new())
            }
        };
        check_elements("a result", &shape)?;
        check_elements("weights", &weight)?;
        Ok(Inferred { shape, params: params(index, weight) })
    }
}

fn check_elements(what: &str, sizes: &[usize]) -> Result<(), String> {
    match elements(sizes) {
        Some(_) => Ok(()),
        None => Err(format!("found {what} of shape {sizes:?}, expected at most {LARGEST} elements")),
    }
}

/// What a normalisation's epsilon may be.
pub const EPSILON: &str = "a number above 0";
/// What a batch normalisation's momentum may be.
pub const MOMENTUM: &str = "a number from 0 to 1";

fn check_number(key: &str, found: f64, fits: bool, expected: &str) -> Result<(), String> {
    match fits && found.is_finite() {
        true => Ok(()),
        false => Err(format!("found {key} = {found}, expected {expected}")),
    }
}

/// γ and β of a normalisation over `channels`, and its running statistics where it has them, by PyTorch's names.
fn norm_params(index: usize, channels: usize, running: bool) -> Vec<ParamSpec> {
    let spec = |(end, starts_at, running): (&str, f32, bool)| ParamSpec {
        name: format!("{index}.{end}"),
        file_shape: vec![channels],
        fan_in: 1,
        fan_out: 1,
        is_bias: end == "bias",
        starts_at: Some(starts_at),
        running,
    };
    let own = [("weight", 1.0, false), ("bias", 0.0, false), ("running_mean", 0.0, true), ("running_var", 1.0, true)];
    own.into_iter().filter(|(_, _, of_running)| running || !of_running).map(spec).collect()
}

fn params(index: usize, weight: Vec<usize>) -> Vec<ParamSpec> {
    let [outputs, inputs] = weight[..] else { return Vec::new() };
    weight_and_bias(index, weight, outputs, [inputs, outputs])
}

/// A weight, and a bias of so many outputs.
fn weight_and_bias(index: usize, weight: Vec<usize>, outputs: usize, fans: [usize; 2]) -> Vec<ParamSpec> {
    let spec = |end: &str, file_shape: Vec<usize>| ParamSpec {
        name: format!("{index}.{end}"),
        is_bias: file_shape.len() == 1,
        file_shape,
        fan_in: fans[0],
        fan_out: fans[1],
        starts_at: None,
        running: false,
    };
    vec![spec("weight", weight.clone()), spec("bias", vec![outputs])]
}
