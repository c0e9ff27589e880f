//! Nets of inverted residual blocks: torchvision's MobileNets and EfficientNet.

use super::resnet::{gate, gate_by};
use super::{IMAGENET, PHOTO, Preset, conv_norm, photo};
use crate::model::Sequential;
use crate::model::layers::BatchNorm;
use crate::ops::conv::geometry::Padding;
use crate::ops::pointwise::activation::Function;

const fn preset(name: &'static str, layers: fn(Sequential, usize) -> Sequential) -> Preset {
    Preset { name, input: PHOTO, classes: IMAGENET, text: None, layers }
}

pub(super) const PRESETS: &[Preset] = &[
    preset("mobilenet_v2", mobilenet_v2),
    preset("mobilenet_v3_small", mobilenet_v3_small),
    preset("efficientnet_b0", efficientnet_b0),
    preset("shufflenet_v2_x1_0", shufflenet_v2),
];

/// What parts of a net have in common: its normalisation and what follows it.
#[derive(Clone, Copy)]
struct Style {
    norm: BatchNorm,
    function: Option<Function>,
}

impl Style {
    /// torchvision's `Conv2dNormActivation`, in as many groups as there are channels if `alone`.
    fn conv(
        self,
        net: Sequential,
        filters: usize,
        [kernel, stride]: [usize; 2],
        alone: bool,
        names: [&str; 2],
    ) -> Sequential {
        let padding = Padding::all(kernel / 2);
        let net = match alone {
            true => net.depthwise_conv2d_with(kernel, stride, padding),
            false => net.conv2d_with(filters, kernel, stride, padding),
        };
        let net = net.without_bias().module(names[0]).layer(self.norm).module(names[1]);
        match self.function {
            // The ReLU has an op of its own.
            None => net.relu(),
            Some(function) => net.activation(function),
        }
    }

    /// `conv` without an activation.
    fn linear(self, net: Sequential, filters: usize, names: [&str; 2]) -> Sequential {
        let net = net.conv2d(filters, 1).without_bias().module(names[0]);
        net.layer(self.norm).module(names[1])
    }
}

/// The nearest multiple of eight that is not below nine tenths of a number of channels.
fn in_eights(channels: usize) -> usize {
    let near = ((channels + 4) / 8 * 8).max(8);
    if near * 10 < channels * 9 { near + 8 } else { near }
}

/// Sandler and others, 2018.
fn mobilenet_v2(net: Sequential, classes: usize) -> Sequential {
    let style = Style { norm: BatchNorm::new(), function: Some(Function::Relu6) };
    let mut net = style.conv(photo(net), 32, [3, 2], false, ["features.0.0", "features.0.1"]);
    let (mut before, mut index) = (32, 1);
    let stages =
        [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];
    for [expand, filters, count, stride] in stages {
        for block in 0..count {
            let stride = if block == 0 { stride } else { 1 };
            let name = |part: &str| format!("features.{index}.conv.{part}");
            let start = name("start");
            net = net.named(&start);
            let mut at = 0;
            if expand > 1 {
                net = style.conv(net, before * expand, [1, 1], false, [&name("0.0"), &name("0.1")]);
                at = 1;
            }
            net = style.conv(net, 0, [3, stride], true, [&name(&format!("{at}.0")), &name(&format!("{at}.1"))]);
            net = style.linear(net, filters, [&name(&format!("{}", at + 1)), &name(&format!("{}", at + 2))]);
            if stride == 1 && before == filters {
                net = net.add_from(&start);
            }
            (before, index) = (filters, index + 1);
        }
    }
    let net = style.conv(net, 1280, [1, 1], false, ["features.18.0", "features.18.1"]);
    net.global_avg_pool2d().dropout(0.2).dense(classes).module("classifier.1")
}

/// Howard and others, 2019.
fn mobilenet_v3_small(net: Sequential, classes: usize) -> Sequential {
    let norm = BatchNorm { epsilon: 1e-3, momentum: 0.01 };
    let [relu, swish] = [None, Some(Function::HardSwish)].map(|function| Style { norm, function });
    let mut net = swish.conv(photo(net), 16, [3, 2], false, ["features.0.0", "features.0.1"]);
    let mut before = 16;
    // Kernel, expanded and projected channels, stride; whether squeezed, and the activation.
    let blocks = [
        ([3, 16, 16, 2], true, relu),
        ([3, 72, 24, 2], false, relu),
        ([3, 88, 24, 1], false, relu),
        ([5, 96, 40, 2], true, swish),
        ([5, 240, 40, 1], true, swish),
        ([5, 240, 40, 1], true, swish),
        ([5, 120, 48, 1], true, swish),
        ([5, 144, 48, 1], true, swish),
        ([5, 288, 96, 2], true, swish),
        ([5, 576, 96, 1], true, swish),
        ([5, 576, 96, 1], true, swish),
    ];
    for (index, ([kernel, expanded, filters, stride], squeezed, style)) in (1..).zip(blocks) {
        let name = |part: usize, of: &str| format!("features.{index}.block.{part}{of}");
        let (start, mut at) = (format!("features.{index}.start"), 0);
        net = net.named(&start);
        if expanded != before {
            net = style.conv(net, expanded, [1, 1], false, [&name(at, ".0"), &name(at, ".1")]);
            at += 1;
        }
        net = style.conv(net, 0, [kernel, stride], true, [&name(at, ".0"), &name(at, ".1")]);
        at += 1;
        if squeezed {
            net = gate(net, in_eights(expanded / 4), Function::HardSigmoid, &name(at, ""));
            at += 1;
        }
        net = style.linear(net, filters, [&name(at, ".0"), &name(at, ".1")]);
        if stride == 1 && before == filters {
            net = net.add_from(&start);
        }
        before = filters;
    }
    let net = swish.conv(net, 576, [1, 1], false, ["features.12.0", "features.12.1"]);
    let net = net.global_avg_pool2d().dense(1024).module("classifier.0").activation(Function::HardSwish);
    net.dropout(0.2).dense(classes).module("classifier.3")
}

/// Ma and others, 2018: one half of the channels passes a block by, and the halves are mixed.
fn shufflenet_v2(net: Sequential, classes: usize) -> Sequential {
    let net = conv_norm(photo(net), 24, [3, 2], ["conv1.0", "conv1.1"]).relu();
    let mut net = net.max_pool2d_with(3, 2).padded(Padding::all(1));
    let alone = |net: Sequential, stride, [conv, norm]: [String; 2]| {
        net.depthwise_conv2d_with(3, stride, Padding::all(1)).without_bias().module(conv).batch_norm().module(norm)
    };
    for (stage, [channels, count]) in (2..).zip([[116, 4], [232, 8], [464, 4]]) {
        let half = channels / 2;
        for block in 0..count {
            let name = |part: &str| format!("stage{stage}.{block}.{part}");
            let (start, aside, end) = (name("start"), name("branch1"), name("branch2"));
            let pair = |branch: &str, at: usize| [at, at + 1].map(|at| name(&format!("{branch}.{at}")));
            let one = |net, [conv, norm]: [String; 2]| conv_norm(net, half, [1, 1], [&conv, &norm]).relu();
            net = net.named(&start);
            let stride = if block == 0 { 2 } else { 1 };
            let [conv, norm] = pair("branch2", 0);
            net = match stride {
                1 => net.slice(0, half).named(&aside).slice(half, half).reading(&start).conv2d(half, 1),
                _ => {
                    let net = one(alone(net, 2, pair("branch1", 0)), pair("branch1", 2)).named(&aside);
                    net.conv2d(half, 1).reading(&start)
                }
            };
            net = net.without_bias().module(conv).batch_norm().module(norm).relu();
            net = one(alone(net, stride, pair("branch2", 3)), pair("branch2", 5)).named(&end);
            net = net.concat_of([&aside, &end]).channel_shuffle(2);
        }
    }
    let net = conv_norm(net, 1024, [1, 1], ["conv5.0", "conv5.1"]).relu();
    net.global_avg_pool2d().dense(classes).module("fc")
}

/// Tan and Le, 2019. Branches are left out more often the deeper they are.
fn efficientnet_b0(net: Sequential, classes: usize) -> Sequential {
    let style = Style { norm: BatchNorm::new(), function: Some(Function::Silu) };
    let mut net = style.conv(photo(net), 32, [3, 2], false, ["features.0.0", "features.0.1"]);
    let (mut before, mut done) = (32, 0);
    // Expansion, kernel, stride, channels and blocks of each stage.
    let stages = [
        [1, 3, 1, 16, 1],
        [6, 3, 2, 24, 2],
        [6, 5, 2, 40, 2],
        [6, 3, 2, 80, 3],
        [6, 5, 1, 112, 3],
        [6, 5, 2, 192, 4],
        [6, 3, 1, 320, 1],
    ];
    let blocks: usize = stages.iter().map(|stage| stage[4]).sum();
    for (stage, [expand, kernel, stride, filters, count]) in (1..).zip(stages) {
        for block in 0..count {
            let stride = if block == 0 { stride } else { 1 };
            let name = |part: usize, of: &str| format!("features.{stage}.{block}.block.{part}{of}");
            let (start, mut at) = (format!("features.{stage}.{block}.start"), 0);
            net = net.named(&start);
            if expand > 1 {
                net = style.conv(net, before * expand, [1, 1], false, [&name(at, ".0"), &name(at, ".1")]);
                at += 1;
            }
            net = style.conv(net, 0, [kernel, stride], true, [&name(at, ".0"), &name(at, ".1")]);
            let between = |net: Sequential| net.activation(Function::Silu);
            net = gate_by(net, (before / 4).max(1), between, Function::Sigmoid, &name(at + 1, ""));
            net = style.linear(net, filters, [&name(at + 2, ".0"), &name(at + 2, ".1")]);
            if stride == 1 && before == filters {
                net = net.stochastic_depth(0.2 * done as f32 / blocks as f32).add_from(&start);
            }
            (before, done) = (filters, done + 1);
        }
    }
    let net = style.conv(net, 1280, [1, 1], false, ["features.8.0", "features.8.1"]);
    net.global_avg_pool2d().dropout(0.2).dense(classes).module("classifier.1")
}
