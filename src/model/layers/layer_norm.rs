//! Layer normalisation over the last axis.

use super::*;
use crate::model::layers::keys::{ABOVE_0, Kind};
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::ParamSpec;
use crate::ops;

layer! {
    /// Layer normalisation over the last axis: the features of a sample, or the channels of each place of an image, as
    /// PyTorch's `LayerNorm(C)` of N, H, W, C. The shape stays.
    LayerNorm "layer_norm"
    needs {}
    takes {
        /// The constant added to the variance.
        epsilon: f64 = 1e-5 => Key::new(Kind::Number(ABOVE_0)),
    }
}

impl Layer for LayerNorm {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let channels = channels(inputs)?;
        let params = [("weight", 1.0), ("bias", 0.0)].map(|(name, at)| ParamSpec::per_channel(name, channels, at));
        Ok(Inferred { shape: inputs[0].into(), params: params.into() })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let norm = ops::norm::layer_norm::LayerNorm { epsilon: self.epsilon };
        Ok(graph.apply(norm, &at.arguments())?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(self.epsilon as f32))];
        if onnx.shapes[0].len() == 1 {
            onnx.whole("LayerNormalization", &attributes);
            return Ok(());
        }
        // Over the channels, which ONNX has in the second axis.
        let (input, params) = (onnx.inputs[0].clone(), onnx.params.clone());
        let before = onnx.node("_before", "Transpose", &[&input], &[("perm", Attribute::Ints(vec![0, 2, 3, 1]))]);
        let normal = onnx.node("_normal", "LayerNormalization", &[&before, &params[0], &params[1]], &attributes);
        onnx.node("", "Transpose", &[&normal], &[("perm", Attribute::Ints(vec![0, 3, 1, 2]))]);
        Ok(())
    }
}
