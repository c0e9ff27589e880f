//! A factor for all elements, or for each channel.

use super::*;
use crate::model::layers::keys::{FINITE, Kind};
use crate::model::layers::params::ParamSpec;
use crate::ops;

layer! {
    /// Multiplies by a factor; where it is learnt, by one for each channel that begins as the factor (ConvNeXt's layer scale).
    Scale "scale"
    needs {
        /// The factor.
        factor: f32 => Key::new(Kind::Single(FINITE)),
    }
    takes {
        /// Whether each channel has a factor of its own, which is learnt.
        learnt: bool = false => Key::new(Kind::Flag).omitted(),
    }
}

impl Layer for Scale {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let own =
            || -> Result<ParamSpec, String> { Ok(ParamSpec::per_channel("weight", channels(inputs)?, self.factor)) };
        let params = self.learnt.then(own).transpose()?.into_iter().collect();
        Ok(Inferred { shape: inputs[0].into(), params })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let factor = if self.learnt { 1.0 } else { self.factor };
        Ok(graph.apply(ops::pointwise::scale::Scale { factor }, &at.arguments())?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let input = onnx.inputs[0].clone();
        let by = match onnx.params.first().cloned() {
            Some(weight) => onnx.reshape("_weight", &weight, &onnx.channels_first(true)),
            None => onnx.floats("_factor", &[], vec![self.factor]),
        };
        onnx.node("", "Mul", &[&input, &by], &[]);
        Ok(())
    }
}
