//! Where training starts: weights drawn by one of several methods, zero biases or PyTorch's, the same on every machine.

use crate::error::Result;
use crate::model::formats::weights::{NamedTensor, Weights};
use crate::model::layers::params::Spread;
use crate::model::{Model, ParamSpec};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// How weights are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum InitMethod {
    /// Evenly over ±√(6 / (fan_in + fan_out)); Glorot and Bengio 2010.
    #[default]
    GlorotUniform,
    /// Normally, with variance 2 / (fan_in + fan_out).
    GlorotNormal,
    /// Evenly over ±√(6 / fan_in); He et al. 2015, for ReLU.
    HeUniform,
    /// Normally, with variance 2 / fan_in.
    HeNormal,
    /// Evenly over ±√(1 / fan_in), biases too, as PyTorch's layers begin
    Pytorch,
}

/// Weights evenly spread over ±√(6 / (fan_in + fan_out)), biases zero, a normalisation's parameters as it has them.
///
/// Each parameter has a ChaCha8 stream of its own, keyed by the seed and the parameter's place, and is
/// drawn in the order of the weight file, so that neither threads nor memory layouts matter.
///
/// # Errors
/// [`crate::Error::Input`] if the model's shapes do not fit.
pub fn glorot_uniform(model: &Model, seed: u64) -> Result<Weights> {
    first(model, InitMethod::GlorotUniform, seed)
}

/// Weights as `method` draws them, otherwise as [`glorot_uniform`]. Normal ones are not truncated, as PyTorch's are not.
///
/// # Errors
/// [`crate::Error::Input`] if the model's shapes do not fit.
pub fn first(model: &Model, method: InitMethod, seed: u64) -> Result<Weights> {
    first_of(model, method, seed, |_| true)
}

/// [`first`] of those parameters alone whose names are wanted.
pub(crate) fn first_of(model: &Model, method: InitMethod, seed: u64, wanted: impl Fn(&str) -> bool) -> Result<Weights> {
    let params = model.params()?;
    let branches = params.iter().filter(|param| matches!(param.spread, Some(Spread::Residual(_)))).count();
    let fans: Vec<usize> = params.iter().map(weight_fan).collect();
    let params = params.into_iter().enumerate().filter(|(_, param)| wanted(&param.name));
    let tensors = params.map(|(index, mut param)| {
        let is_pytorch = method == InitMethod::Pytorch && param.spread.is_none() && param.starts_at.is_none();
        if is_pytorch {
            // A bias has the bound of the weight before it.
            let weight = if param.is_bias { index.saturating_sub(1) } else { index };
            param.spread = Some(Spread::Uniform((1.0 / fans[weight].max(1) as f64).sqrt()));
        }
        let zero = (param.is_bias && param.spread.is_none()).then_some(0.0);
        let values = match param.starts_at.or(zero) {
            Some(value) => vec![value; param.elements()],
            None => draw(&param, method, [seed, index as u64], branches),
        };
        NamedTensor { name: param.name, shape: param.file_shape, values }
    });
    Ok(Weights::new(tensors.collect()))
}

/// The values that flow into one output as PyTorch counts them: all of a weight's but for its first axis, of a transposed
/// convolution too.
fn weight_fan(param: &ParamSpec) -> usize {
    param.file_shape.iter().skip(1).product()
}

fn draw(param: &ParamSpec, method: InitMethod, [seed, index]: [u64; 2], branches: usize) -> Vec<f32> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    // Square root and division are exact to the last bit everywhere, as IEEE 754 asks for; in double
    // precision the middles of 2²⁴ equal parts of (-1, 1) are exact too.
    let (fan_in, both) = (param.fan_in as f64, param.fan_in as f64 + param.fan_out as f64);
    let mut unit = || (f64::from(rng.next_u32() >> 8) + 0.5) / f64::from(1 << 23) - 1.0;
    let (is_normal, scale) = match (param.spread, method) {
        (Some(Spread::Uniform(bound)), _) => (false, bound),
        (Some(Spread::Normal(deviation)), _) => (true, deviation),
        (Some(Spread::Residual(deviation)), _) => (true, deviation / (branches as f64).sqrt()),
        (None, InitMethod::GlorotUniform) => (false, (6.0 / both).sqrt()),
        (None, InitMethod::GlorotNormal) => (true, (2.0 / both).sqrt()),
        (None, InitMethod::HeUniform) => (false, (6.0 / fan_in).sqrt()),
        (None, InitMethod::Pytorch) => (false, (1.0 / fan_in).sqrt()),
        (None, InitMethod::HeNormal) => (true, (2.0 / fan_in).sqrt()),
    };
    let mut draw = || if is_normal { polar(&mut unit) } else { unit() };
    (0..param.elements()).map(|_| (draw() * scale) as f32).collect()
}

/// A number of the standard normal distribution by Marsaglia's polar method: of a pair of numbers evenly spread over
/// (-1, 1) that lie within the unit circle. Of the two that it gives the first is taken.
fn polar(unit: &mut impl FnMut() -> f64) -> f64 {
    loop {
        let (u, v) = (unit(), unit());
        let s = u * u + v * v;
        // Never 0: no number of the stream is.
        if s < 1.0 {
            return u * (-2.0 * ln(s) / s).sqrt();
        }
    }
}

/// The natural logarithm of a normal positive number by nothing but what IEEE 754 rounds exactly: libraries differ in
/// the last place of theirs. ln(m·2ᵉ) = e·ln 2 + 2·artanh((m - 1) / (m + 1)), m in [√½, √2), by the artanh's series.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let (mut exponent, mut m) = ((bits >> 52) as i64 - 1023, f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52)));
    if m > std::f64::consts::SQRT_2 {
        (exponent, m) = (exponent + 1, m / 2.0);
    }
    let t = (m - 1.0) / (m + 1.0);
    // |t| ≤ 0.172: the first term that is left out is below 1e-17 of the sum.
    let series = (0..11).rev().fold(0.0, |sum, k| sum * (t * t) + 1.0 / f64::from(2 * k + 1));
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * t * series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deep(seed: u64) -> Weights {
        glorot_uniform(&Model::preset("mnist-deep", [28, 28, 1], 10).unwrap(), seed).unwrap()
    }

    #[test]
    fn weights_are_uniform_within_the_limit_and_biases_zero() {
        for (tensor, fans) in deep(3).tensors.iter().filter(|t| t.name.ends_with("weight")).zip([297, 864, 9344, 138]) {
            let limit = (6.0 / f64::from(fans)).sqrt();
            let values: Vec<f64> = tensor.values.iter().map(|v| f64::from(*v) / limit).collect();
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let square = values.iter().map(|v| v * v).sum::<f64>() / n;
            // Five deviations of each estimate: v has variance 1/3, v² has 4/45.
            assert!(mean.abs() < 5.0 / (3.0 * n).sqrt(), "{}: mean {mean}", tensor.name);
            assert!((square - 1.0 / 3.0).abs() < 5.0 * (4.0 / 45.0 / n).sqrt(), "{}: {square}", tensor.name);
            let most = values.iter().fold(0.0f64, |most, v| most.max(v.abs()));
            assert!(most <= 1.0 + 1e-7 && most > 1.0 - 20.0 / n, "{}: largest {most}", tensor.name);
        }
        for tensor in deep(3).tensors.iter().filter(|t| t.name.ends_with("bias")) {
            assert!(tensor.values.iter().all(|v| v.to_bits() == 0), "{}", tensor.name);
        }
    }

    #[test]
    fn the_logarithm_is_right_to_the_last_places() {
        for x in [1e-12, 0.1, 0.5, 0.7, std::f64::consts::FRAC_1_SQRT_2, 0.999_999, 1.0, 1.5, 3.0, 1e9] {
            assert!((ln(x) - x.ln()).abs() <= 4.0 * f64::EPSILON * x.ln().abs().max(1.0), "{x}: {}", ln(x));
        }
    }

    /// Mean, variance and the share within one and two deviations, each within five deviations of its estimate.
    #[test]
    fn normal_weights_have_the_variance_of_their_method() {
        let model = Model::preset("mnist-deep", [28, 28, 1], 10).unwrap();
        for (method, fans) in
            [(InitMethod::HeNormal, [9, 288, 9216, 128]), (InitMethod::GlorotNormal, [297, 864, 9344, 138])]
        {
            let weights = first(&model, method, 3).unwrap();
            let mut all = Vec::new();
            for (tensor, fan) in weights.tensors.iter().filter(|t| t.name.ends_with("weight")).zip(fans) {
                let deviation = (2.0 / f64::from(fan)).sqrt();
                let values: Vec<f64> = tensor.values.iter().map(|v| f64::from(*v) / deviation).collect();
                let n = values.len() as f64;
                let square = values.iter().map(|v| v * v).sum::<f64>() / n;
                assert!((square - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{method:?} {}: {square}", tensor.name);
                all.extend(values);
            }
            let n = all.len() as f64;
            let mean = all.iter().sum::<f64>() / n;
            assert!(mean.abs() < 5.0 / n.sqrt(), "{method:?}: mean {mean}");
            for (limit, share) in [(1.0, 0.682_689_5), (2.0, 0.954_499_7), (3.0, 0.997_300_2f64)] {
                let found = all.iter().filter(|v| v.abs() < limit).count() as f64 / n;
                let deviation = (share * (1.0 - share) / n).sqrt();
                assert!((found - share).abs() < 5.0 * deviation, "{method:?}: {found} within {limit}");
            }
        }
    }

    /// He's limit is √6 / √fan_in; one stream gives the same numbers to both uniform methods.
    #[test]
    fn he_uniform_is_glorot_uniform_at_another_scale() {
        let model = Model::preset("mnist-cnn", [28, 28, 1], 10).unwrap();
        let [glorot, he] = [InitMethod::GlorotUniform, InitMethod::HeUniform].map(|m| first(&model, m, 5).unwrap());
        // The first layer: fan_in 9, fan_out 32 · 9.
        let ratio = ((9.0f64 + 288.0) / 9.0).sqrt();
        for (g, h) in glorot.tensors[0].values.iter().zip(&he.tensors[0].values) {
            assert!((f64::from(*g) * ratio - f64::from(*h)).abs() < 1e-6, "{g} {h}");
        }
        assert!(he.tensors[1].values.iter().all(|v| v.to_bits() == 0), "biases are zero");
    }

    /// torch.nn.Conv2d and Linear: ±1 / √fan_in, of biases as of weights.
    #[test]
    fn weights_and_biases_begin_as_pytorchs() {
        let model = Model::preset("mnist-deep", [28, 28, 1], 10).unwrap();
        let weights = first(&model, InitMethod::Pytorch, 5).unwrap();
        for (at, fan) in [9, 9, 288, 288, 9216, 9216, 128, 128].into_iter().enumerate() {
            let (tensor, bound) = (&weights.tensors[at], 1.0 / f64::from(fan).sqrt());
            let most = tensor.values.iter().fold(0.0f64, |most, v| most.max(f64::from(*v).abs()));
            assert!(most <= bound * (1.0 + 1e-7) && most > 0.5 * bound, "{}: {most} of {bound}", tensor.name);
        }
    }

    #[test]
    fn one_seed_gives_one_start() {
        assert_eq!(deep(7), deep(7));
        let first = |seed: u64| deep(seed).tensors[0].values.clone();
        assert_ne!(first(0), first(1));
        assert_ne!(first(0), first(1 << 32));
        let start = |at: usize| deep(0).tensors[at].values[..4].to_vec();
        assert_ne!(start(4), start(6), "each parameter has a stream of its own");
    }

    /// A change of these values, which a ChaCha8 written for the purpose gave too, is a change of every result
    /// that names its seed.
    #[test]
    fn the_first_values_are_pinned() {
        let bits = |at: usize| deep(0).tensors[at].values[..4].iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(0), [3182826768, 1036264930, 1039017468, 1025050245]);
        assert_eq!(bits(2), [3175579897, 1025154807, 3172241740, 3160114576]);
    }
}
