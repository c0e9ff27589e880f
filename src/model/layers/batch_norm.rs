//! Batch normalisation.

use super::*;
use crate::model::Mode;
use crate::model::layers::keys::{ABOVE_0, FROM_0_TO_1, Kind};
use crate::model::layers::onnx::Attribute;
use crate::model::layers::params::ParamSpec;
use crate::ops;
use crate::ops::pointwise::then::Then;

layer! {
    /// Batch normalisation, channel by channel, or feature by feature: the shape stays. The statistics are the batch's in
    /// training, running ones in inference. Both numbers have PyTorch's meaning.
    BatchNorm "batch_norm"
    needs {}
    takes {
        /// The constant added to the variance.
        epsilon: f64 = 1e-5 => Key::new(Kind::Number(ABOVE_0)),
        /// The share of a batch in the running statistics.
        momentum: f64 = 0.1 => Key::new(Kind::Number(FROM_0_TO_1)),
    }
}

impl Layer for BatchNorm {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let channels = channels(inputs)?;
        let param = |name, starts_at| ParamSpec::per_channel(name, channels, starts_at);
        let own = [param("weight", 1.0), param("bias", 0.0)];
        let running = [param("running_mean", 0.0), param("running_var", 1.0)].map(ParamSpec::running);
        Ok(Inferred { shape: inputs[0].into(), params: own.into_iter().chain(running).collect() })
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let BatchNorm { epsilon, momentum } = *self;
        let training = at.build.mode == Mode::Training;
        if training && graph.shape(at.x[0]).split_last().is_some_and(|(_, rows)| rows.iter().product::<usize>() == 1) {
            let expected = "batch norm of one value per channel learns nothing: expected a batch size of 2 or more";
            return Err(Error::input(expected));
        }
        let norm = ops::norm::batch_norm::BatchNorm { epsilon, momentum, training, then: Then::Nothing };
        let arguments = match training {
            true => [at.x, &at.params[..2], &[at.control()?]].concat(),
            false => at.arguments(),
        };
        Ok(graph.apply(norm, &arguments)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        // Its parameters are in ONNX's order: scale, B, mean, variance.
        onnx.whole("BatchNormalization", &[("epsilon", Attribute::Float(self.epsilon as f32))]);
        Ok(())
    }
}
