//! torchvision's DenseNet.

use super::{IMAGENET, PHOTO, Preset, conv_norm, photo};
use crate::model::Sequential;
use crate::ops::conv::geometry::Padding;

pub(super) const PRESETS: &[Preset] =
    &[Preset { name: "densenet121", input: PHOTO, classes: IMAGENET, text: None, layers: densenet121 }];

/// Channels that each layer adds.
const GROWTH: usize = 32;

/// Huang and others, 2016: each layer reads the channels of all layers before it in its block.
fn densenet121(net: Sequential, classes: usize) -> Sequential {
    let net = conv_norm(photo(net), 64, [7, 2], ["features.conv0", "features.norm0"]).relu();
    let mut net = net.max_pool2d_with(3, 2).padded(Padding::all(1));
    let mut channels = 64;
    for (block, layers) in (1..).zip([6, 12, 24, 16]) {
        for layer in 1..=layers {
            let name = |part: &str| format!("features.denseblock{block}.denselayer{layer}.{part}");
            let (start, end) = (name("start"), name("end"));
            net = net.named(&start).batch_norm().module(name("norm1")).relu();
            net = conv_norm(net, 4 * GROWTH, [1, 1], [&name("conv1"), &name("norm2")]).relu();
            net = net.conv2d_with(GROWTH, 3, 1, Padding::all(1)).without_bias().module(name("conv2"));
            net = net.named(&end).concat_of([&start, &end]);
            channels += GROWTH;
        }
        if block < 4 {
            let name = |part: &str| format!("features.transition{block}.{part}");
            channels /= 2;
            net = net.batch_norm().module(name("norm")).relu();
            net = net.conv2d(channels, 1).without_bias().module(name("conv")).avg_pool2d(2);
        }
    }
    let net = net.batch_norm().module("features.norm5").relu();
    net.global_avg_pool2d().dense(classes).module("classifier")
}
