//! Dropout.

use super::*;
use crate::model::Mode;
use crate::model::layers::keys::{BELOW_1, Kind};
use crate::ops;

layer! {
    /// Zeroes a share of the elements in training and scales up the others; does nothing in inference.
    Dropout "dropout"
    needs {
        /// The share, at least 0 and below 1.
        rate: f32 => Key::new(Kind::Single(BELOW_1)),
    }
    takes {}
}

impl Layer for Dropout {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        Ok(Inferred::of(inputs[0]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        if at.build.mode != Mode::Training {
            return Ok(at.x[0]);
        }
        let dropout = ops::pointwise::dropout::Dropout { rate: self.rate, salt: at.index as u32, each: 1 };
        Ok(graph.apply(dropout, &[at.control()?, at.x[0]])?[0])
    }

    fn onnx(&self, _: &mut Onnx) -> Result<(), String> {
        // Nothing in inference.
        Ok(())
    }
}
