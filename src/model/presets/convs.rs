//! Nets of convolutions of their own kinds: torchvision's SqueezeNet and ConvNeXt.

use super::{IMAGENET, PHOTO, Preset, photo};
use crate::model::Sequential;
use crate::model::layers::LayerNorm;
use crate::ops::conv::geometry::Padding;
use crate::ops::pointwise::activation::Function;

const fn preset(name: &'static str, layers: fn(Sequential, usize) -> Sequential) -> Preset {
    Preset { name, input: PHOTO, classes: IMAGENET, text: None, layers }
}

pub(super) const PRESETS: &[Preset] = &[preset("squeezenet1_1", squeezenet), preset("convnext_tiny", convnext_tiny)];

/// SqueezeNet 1.1 (Iandola and others, 2016).
fn squeezenet(net: Sequential, classes: usize) -> Sequential {
    let fire = |net: Sequential, squeezed: usize, expanded: usize, at: usize| {
        let [start, narrow, wide] = ["squeeze", "expand1x1", "expand3x3"].map(|part| format!("features.{at}.{part}"));
        let net = net.conv2d(squeezed, 1).module(&start).relu().named(&start);
        let net = net.conv2d(expanded, 1).module(&narrow).relu().named(&narrow);
        let net = net.conv2d_with(expanded, 3, 1, Padding::all(1)).reading(&start).module(&wide).relu().named(&wide);
        net.concat_of([&narrow, &wide])
    };
    let net = photo(net).conv2d_with(64, 3, 2, Padding::Valid).module("features.0").relu();
    let net = fire(fire(net.max_pool2d_with(3, 2).ceil(), 16, 64, 3), 16, 64, 4);
    let net = fire(fire(net.max_pool2d_with(3, 2).ceil(), 32, 128, 6), 32, 128, 7);
    let net = fire(fire(net.max_pool2d_with(3, 2).ceil(), 48, 192, 9), 48, 192, 10);
    let net = fire(fire(net, 64, 256, 11), 64, 256, 12);
    net.dropout(0.5).conv2d(classes, 1).module("classifier.1").relu().global_avg_pool2d()
}

/// Liu and others, 2022. Branches are left out more often the deeper they are.
fn convnext_tiny(net: Sequential, classes: usize) -> Sequential {
    let norm = LayerNorm { epsilon: 1e-6, ..LayerNorm::new() };
    let stages = [[96, 3], [192, 3], [384, 9], [768, 3]];
    let blocks: usize = stages.iter().map(|stage| stage[1]).sum();
    let net = photo(net).conv2d_with(96, 4, 4, Padding::Valid).module("features.0.0");
    let (mut net, mut done) = (net.layer(norm).module("features.0.1"), 0);
    for (stage, [width, count]) in stages.into_iter().enumerate() {
        if stage > 0 {
            let name = |part: usize| format!("features.{}.{part}", 2 * stage);
            net = net.layer(norm).module(name(0)).conv2d_with(width, 2, 2, Padding::Valid).module(name(1));
        }
        for block in 0..count {
            let name = |part: &str| format!("features.{}.{block}.{part}", 2 * stage + 1);
            let start = name("start");
            net = net.named(&start).depthwise_conv2d_with(7, 1, Padding::all(3)).module(name("block.0"));
            net = net.layer(norm).module(name("block.2")).conv2d(4 * width, 1).module(name("block.3"));
            net = net.activation(Function::Gelu).conv2d(width, 1).module(name("block.5"));
            net = net.scale_channels(1e-6).module(name("layer_scale"));
            net = net.stochastic_depth(0.1 * done as f32 / (blocks - 1) as f32).add_from(&start);
            done += 1;
        }
    }
    net.global_avg_pool2d().layer(norm).module("classifier.0").dense(classes).module("classifier.2")
}
