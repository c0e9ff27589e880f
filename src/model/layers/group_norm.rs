//! Normalisation over groups of channels.

use super::*;
use crate::model::layers::keys::{ABOVE_0, Kind, SIZE};
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::ParamSpec;
use crate::ops;

layer! {
    /// Normalisation over groups of channels, sample by sample, the places of an image together: the shape stays. PyTorch's
    /// `GroupNorm(groups, channels)`.
    GroupNorm "group_norm"
    needs {
        /// Groups that the channels are divided into, in order.
        groups: usize => SIZE,
    }
    takes {
        /// The constant added to the variance.
        epsilon: f64 = 1e-5 => Key::new(Kind::Number(ABOVE_0)),
    }
}

impl Layer for GroupNorm {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let (channels, groups) = (channels(inputs)?, self.groups);
        if !channels.is_multiple_of(groups) {
            let expected = "expected channels in multiples of it";
            return Err(format!("found {channels} channels and groups = {groups}, {expected}"));
        }
        let params = [("weight", 1.0), ("bias", 0.0)].map(|(name, at)| ParamSpec::per_channel(name, channels, at));
        Ok(Inferred { shape: inputs[0].into(), params: params.into() })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let GroupNorm { groups, epsilon } = *self;
        Ok(graph.apply(ops::norm::group_norm::GroupNorm { groups, epsilon }, &at.arguments())?[0])
    }

    /// ONNX has it from opset 18 on; before, a group is an instance of a channel, as PyTorch exports it.
    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let (input, params) = (onnx.inputs[0].clone(), onnx.params.clone());
        let (whole, channels) = (onnx.channels_first(false), onnx.channels_first(true));
        let apart = onnx.reshape("_groups", &input, &[0, self.groups as i64, -1]);
        let ones = onnx.floats("_ones", &[self.groups], vec![1.0; self.groups]);
        let zeros = onnx.floats("_zeros", &[self.groups], vec![0.0; self.groups]);
        let epsilon = ("epsilon", Attribute::Float(self.epsilon as f32));
        let normal = onnx.node("_normal", "InstanceNormalization", &[&apart, &ones, &zeros], &[epsilon]);
        let normal = onnx.reshape("_whole", &normal, &[&[0], &whole[..]].concat());
        let weight = onnx.reshape("_weight", &params[0], &channels);
        let bias = onnx.reshape("_bias", &params[1], &channels);
        let scaled = onnx.node("_scaled", "Mul", &[&normal, &weight], &[]);
        onnx.node("", "Add", &[&scaled, &bias], &[]);
        Ok(())
    }
}
