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

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let (input, weight) = (onnx.inputs[0].clone(), onnx.params[0].clone());
        // Channels are the last axis, save for those of an image.
        if onnx.shapes[0].len() < 3 {
            rms_norm(onnx, "", [&input, &weight], self.epsilon);
            return Ok(());
        }
        let before = onnx.node("_before", "Transpose", &[&input], &[("perm", Attribute::Ints(vec![0, 2, 3, 1]))]);
        let normal = rms_norm(onnx, "_normal", [&before, &weight], self.epsilon);
        onnx.node("", "Transpose", &[&normal], &[("perm", Attribute::Ints(vec![0, 3, 1, 2]))]);
        Ok(())
    }
}

/// The norm over the last axis by its formula: ONNX has it from opset 23 on.
pub(super) fn rms_norm(onnx: &mut Onnx, suffix: &str, [x, weight]: [&str; 2], epsilon: f64) -> String {
    let epsilon = onnx.floats(&format!("{suffix}_epsilon"), &[], vec![epsilon as f32]);
    let squares = onnx.node(&format!("{suffix}_squares"), "Mul", &[x, x], &[]);
    let axes = [("axes", Attribute::Ints(vec![onnx.shapes[0].len()])), ("keepdims", Attribute::Int(1))];
    let mean = onnx.node(&format!("{suffix}_mean"), "ReduceMean", &[&squares], &axes);
    let moved = onnx.node(&format!("{suffix}_moved"), "Add", &[&mean, &epsilon], &[]);
    let root = onnx.node(&format!("{suffix}_root"), "Sqrt", &[&moved], &[]);
    let normal = onnx.node(&format!("{suffix}_unit"), "Div", &[x, &root], &[]);
    onnx.node(suffix, "Mul", &[&normal, weight], &[])
}
