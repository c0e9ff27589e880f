//! Images normalised channel by channel before the first layer, as torchvision's `Normalize` does it.

use crate::counted::counted;
use crate::error::Result;
use crate::ir::graph::{Graph, Tensor};
use crate::ops::batch::normalise::{MOST_CHANNELS, Normalise};
use serde::{Deserialize, Serialize};

/// The mean and the standard deviation of each channel: the first layer reads (value - mean) / std of values from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelNorm {
    /// The mean of each channel.
    pub mean: Vec<f64>,
    /// The standard deviation of each channel.
    pub std: Vec<f64>,
}

impl ChannelNorm {
    /// Refuses what does not fit a model's input.
    ///
    /// # Errors
    /// A sentence for an input that is not an image, other counts than its channels, and invalid numbers.
    pub(super) fn check(&self, input: &[usize]) -> Result<(), String> {
        let &[_, _, channels] = input else {
            return Err("found normalise, expected none but where the input is an image".into());
        };
        let counts = [self.mean.len(), self.std.len()];
        if counts != [channels; 2] || channels > MOST_CHANNELS {
            let [mean, std] = counts;
            return Err(format!(
                "found normalise with {} and {}, expected {channels} of each, one per channel (at most {MOST_CHANNELS})",
                counted(mean, "mean"),
                counted(std, "deviation")
            ));
        }
        let sound = (0..channels).all(|channel| self.of(channel).iter().all(|x| x.is_finite()));
        match sound && self.std.iter().all(|std| *std > 0.0) {
            true => Ok(()),
            false => Err("found normalise with other numbers, expected finite means and deviations above 0".into()),
        }
    }

    /// The factor for a value of a channel, and the summand.
    pub fn of(&self, channel: usize) -> [f32; 2] {
        let (mean, std) = (self.mean[channel], self.std[channel]);
        [(1.0 / std) as f32, (-mean / std) as f32]
    }

    /// Adds the normalisation of x [batch, height, width, channels].
    pub(crate) fn apply(&self, graph: &mut Graph, x: Tensor) -> Result<Tensor> {
        let mut op = Normalise { scale: [1.0; MOST_CHANNELS], shift: [0.0; MOST_CHANNELS] };
        for channel in 0..self.mean.len().min(MOST_CHANNELS) {
            [op.scale[channel], op.shift[channel]] = self.of(channel);
        }
        Ok(graph.apply(op, &[x])?[0])
    }
}
