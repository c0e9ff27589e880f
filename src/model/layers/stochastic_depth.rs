//! Stochastic depth.

use super::*;
use crate::model::Mode;
use crate::model::layers::keys::{BELOW_1, Kind};
use crate::ops::pointwise::dropout::Dropout;

layer! {
    /// Zeroes all of some samples in training and scales up the others; does nothing in inference: before the sum of a residual
    /// connection it leaves out the branch. torchvision's `StochasticDepth(rate, "row")`, timm's `DropPath`.
    StochasticDepth "stochastic_depth"
    needs {
        /// The share of samples, at least 0 and below 1.
        rate: f32 => Key::new(Kind::Single(BELOW_1)),
    }
    takes {}
}

impl Layer for StochasticDepth {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        Ok(Inferred::of(inputs[0]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        if at.build.mode != Mode::Training {
            return Ok(at.x[0]);
        }
        let each = at.shape.iter().skip(1).product();
        let dropout = Dropout { rate: self.rate, salt: at.index as u32, each };
        Ok(graph.apply(dropout, &[at.control()?, at.x[0]])?[0])
    }

    fn onnx(&self, _: &mut Onnx) -> Result<(), String> {
        // Nothing in inference.
        Ok(())
    }
}
