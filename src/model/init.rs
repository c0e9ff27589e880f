//! Where training starts: Glorot-uniform weights, zero biases, the same on every machine.

use super::weights::{NamedTensor, Weights};
use super::{Model, ParamSpec};
use crate::error::Result;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Weights evenly spread over ±√(6 / (fan_in + fan_out)), biases zero, a normalisation's parameters as it has them.
///
/// Each parameter has a ChaCha8 stream of its own, keyed by the seed and the parameter's place, and is
/// drawn in the order of the weight file, so that neither threads nor memory layouts matter.
///
/// # Errors
/// [`crate::Error::Input`] where the model's shapes do not fit.
pub fn glorot_uniform(model: &Model, seed: u64) -> Result<Weights> {
    let params = model.params()?;
    let tensors = params.into_iter().enumerate().map(|(index, param)| {
        let values = match param.starts_at.or(param.is_bias.then_some(0.0)) {
            Some(value) => vec![value; param.elements()],
            None => draw(&param, seed, index as u64),
        };
        NamedTensor { name: param.name, shape: param.file_shape, values }
    });
    Ok(Weights::new(tensors.collect()))
}

fn draw(param: &ParamSpec, seed: u64, index: u64) -> Vec<f32> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    // Square root and division are exact to the last bit everywhere, as IEEE 754 asks for; in double
    // precision the middles of 2²⁴ equal parts of (-1, 1) are exact too.
    let limit = (6.0 / (param.fan_in as f64 + param.fan_out as f64)).sqrt();
    let mut unit = || (f64::from(rng.next_u32() >> 8) + 0.5) / f64::from(1 << 23) - 1.0;
    (0..param.elements()).map(|_| (unit() * limit) as f32).collect()
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
