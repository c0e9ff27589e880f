//! Layer normalisation over the last axis.

use super::*;
use crate::model::layers::keys::{ABOVE_0, BIAS, Kind};
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
        /// Whether it has a bias.
        bias: bool = true => BIAS,
    }
}

impl Layer for LayerNorm {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let channels = channels(inputs)?;
        let params = [("weight", 1.0), ("bias", 0.0)].into_iter().take(if self.bias { 2 } else { 1 });
        let params = params.map(|(name, at)| ParamSpec::per_channel(name, channels, at)).collect();
        Ok(Inferred { shape: inputs[0].into(), params })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let norm = ops::norm::layer_norm::LayerNorm { epsilon: self.epsilon };
        Ok(graph.apply(norm, &at.arguments())?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(self.epsilon as f32))];
        // Channels are the last axis, save for those of an image.
        if onnx.shapes[0].len() < 3 {
            onnx.whole("LayerNormalization", &attributes);
            return Ok(());
        }
        let (input, params) = (onnx.inputs[0].clone(), onnx.params.clone());
        let before = onnx.node("_before", "Transpose", &[&input], &[("perm", Attribute::Ints(vec![0, 2, 3, 1]))]);
        let inputs: Vec<&str> = std::iter::once(&before).chain(&params).map(|name| &**name).collect();
        let normal = onnx.node("_normal", "LayerNormalization", &inputs, &attributes);
        onnx.node("", "Transpose", &[&normal], &[("perm", Attribute::Ints(vec![0, 3, 1, 2]))]);
        Ok(())
    }
}
