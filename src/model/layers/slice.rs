//! Some of the channels.

use super::*;
use crate::model::layers::keys::{COUNT, SIZE};
use crate::ops;

layer! {
    /// Channels (or features) of the result before, one after the other: as many as `channels`, without the first `skip`.
    Slice "slice"
    needs {
        /// Channels of the result.
        channels: usize => SIZE,
    }
    takes {
        /// Channels before these.
        skip: usize = 0 => COUNT,
    }
}

impl Layer for Slice {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        let (all, Slice { channels: taken, skip }) = (channels(inputs)?, *self);
        if skip.saturating_add(taken) > all {
            return Err(format!("found channels = {taken} after {skip}, expected some of the {all} that there are"));
        }
        let places = &inputs[0][..inputs[0].len() - 1];
        Ok(Inferred::of([places, &[taken]].concat()))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let slice = ops::shape::slice::Slice { offset: self.skip, columns: self.channels };
        Ok(graph.apply(slice, at.x)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        // N, C, H, W, or N, features; or N, places, features.
        let axis = if onnx.shapes[0].len() == 2 { 2 } else { 1 };
        let [first, last, axis] = [("_first", self.skip), ("_last", self.skip + self.channels), ("_axis", axis)]
            .map(|(name, value)| onnx.ints(name, vec![value as i64]));
        let input = onnx.inputs[0].clone();
        onnx.node("", "Slice", &[&input, &first, &last, &axis], &[]);
        Ok(())
    }
}
