//! Normalisation by the root of the mean square, over the last axis.

use super::*;
use crate::model::layers::keys::{ABOVE_0, Kind};
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::ParamSpec;
use crate::ops;

layer! {
    /// Normalisation by the root of the mean square over the last axis: the features of a sample, or the channels of each
    /// place of an image, as PyTorch's `RMSNorm(C)` of N, H, W, C. The shape stays.
    RmsNorm "rms_norm"
    needs {}
    takes {
        /// The constant added to the mean of the squares; by default the epsilon of single precision, as in PyTorch.
        epsilon: f64 = f64::from(f32::EPSILON) => Key::new(Kind::Number(ABOVE_0)),
    }
}

impl Layer for RmsNorm {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let weight = ParamSpec::per_channel("weight", channels(inputs)?, 1.0);
        Ok(Inferred { shape: inputs[0].into(), params: vec![weight] })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let norm = ops::norm::rms_norm::RmsNorm { epsilon: self.epsilon };
        Ok(graph.apply(norm, &at.arguments())?[0])
    }

    /// By its formula: ONNX has it from opset 23 on. The channels are the second axis.
    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let (input, weight, channels) = (onnx.inputs[0].clone(), onnx.params[0].clone(), onnx.channels_first(true));
        let weight = onnx.reshape("_weight", &weight, &channels);
        let epsilon = onnx.floats("_epsilon", &[], vec![self.epsilon as f32]);
        let squares = onnx.node("_squares", "Mul", &[&input, &input], &[]);
        let axes = [("axes", Attribute::Ints(vec![1])), ("keepdims", Attribute::Int(1))];
        let mean = onnx.node("_mean", "ReduceMean", &[&squares], &axes);
        let moved = onnx.node("_moved", "Add", &[&mean, &epsilon], &[]);
        let root = onnx.node("_root", "Sqrt", &[&moved], &[]);
        let normal = onnx.node("_normal", "Div", &[&input, &root], &[]);
        onnx.node("", "Mul", &[&normal, &weight], &[]);
        Ok(())
    }
}
