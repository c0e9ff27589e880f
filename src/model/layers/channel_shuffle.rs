//! Channels in another order, so that groups of them mix.

use super::*;
use crate::model::layers::keys::SIZE;
use crate::model::layers::onnx::Attribute;
use crate::ops::shape::transpose::Transpose;

layer! {
    /// The first channels of all groups, then the second ones, and so on (ShuffleNet; Zhang and others, 2017): PyTorch's
    /// `ChannelShuffle`.
    ChannelShuffle "channel_shuffle"
    needs {
        /// Groups, which must divide the channels.
        groups: usize => SIZE,
    }
    takes {}
}

impl ChannelShuffle {
    fn each(&self, channels: usize) -> Result<usize, String> {
        let groups = self.groups;
        match channels.is_multiple_of(groups.max(1)) {
            true => Ok(channels / groups.max(1)),
            false => Err(format!("found groups = {groups}, expected a number that divides the {channels} channels")),
        }
    }
}

impl Layer for ChannelShuffle {
    keyed!();

    fn infer(&self, inputs: &[&[usize]]) -> Result<Inferred, String> {
        self.each(channels(inputs)?)?;
        Ok(Inferred::of(inputs[0]))
    }

    fn build(&self, graph: &mut Graph, at: &Inputs) -> Result<Tensor> {
        let (channels, elements) = (at.shape.last().copied().unwrap_or(1), graph.info(at.x[0]).elements());
        let columns = self.each(channels).map_err(Error::input)?;
        let shape = Shape(at.shape.to_vec());
        Ok(graph.apply(Transpose { n: elements / channels, rows: self.groups, columns, shape }, at.x)?[0])
    }

    fn onnx(&self, onnx: &mut Onnx) -> Result<(), String> {
        let (input, shape) = (onnx.inputs[0].clone(), onnx.shapes[0]);
        let channels = shape.last().copied().unwrap_or(1);
        let (groups, each) = (self.groups as i64, self.each(channels)? as i64);
        // N, C, all places; of a sequence N, places, C.
        let is_sequence = shape.len() == 2;
        let (apart, order) = match is_sequence {
            true => (vec![0, 0, groups, each], vec![0, 1, 3, 2]),
            false => (vec![0, groups, each, -1], vec![0, 2, 1, 3]),
        };
        let apart = onnx.reshape("_apart", &input, &apart);
        let turned = onnx.node("_turned", "Transpose", &[&apart], &[("perm", Attribute::Ints(order))]);
        let sizes = match is_sequence {
            true => shape.iter().map(|&size| size as i64).collect(),
            false => onnx.channels_first(false),
        };
        onnx.reshape("", &turned, &[&[0], &sizes[..]].concat());
        Ok(())
    }
}
