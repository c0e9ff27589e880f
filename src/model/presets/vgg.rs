//! torchvision's VGG nets and AlexNet.

use super::{IMAGENET, PHOTO, Preset, photo};
use crate::model::Sequential;
use crate::ops::conv::geometry::Padding;

const fn preset(name: &'static str, layers: fn(Sequential, usize) -> Sequential) -> Preset {
    Preset { name, input: PHOTO, classes: IMAGENET, text: None, layers }
}

pub(super) const PRESETS: &[Preset] = &[
    preset("alexnet", alexnet),
    preset("vgg11", |net, classes| vgg(net, [1, 1, 2, 2, 2], false, classes)),
    preset("vgg16", |net, classes| vgg(net, [2, 2, 3, 3, 3], false, classes)),
    preset("vgg16_bn", |net, classes| vgg(net, [2, 2, 3, 3, 3], true, classes)),
];

/// Simonyan and Zisserman, 2014: stages of convolutions of 3 × 3, each ended by a pool; with batch normalisation or without.
fn vgg(net: Sequential, stages: [usize; 5], normalised: bool, classes: usize) -> Sequential {
    let (mut net, mut at) = (photo(net), 0);
    for (convs, filters) in stages.into_iter().zip([64, 128, 256, 512, 512]) {
        for _ in 0..convs {
            net = net.conv2d_with(filters, 3, 1, Padding::all(1)).module(format!("features.{at}"));
            if normalised {
                net = net.batch_norm().module(format!("features.{}", at + 1));
            }
            net = net.relu();
            at += if normalised { 3 } else { 2 };
        }
        net = net.max_pool2d(2);
        at += 1;
    }
    let net = net.adaptive_avg_pool2d(7).flatten().dense(4096).module("classifier.0").relu().dropout(0.5);
    let net = net.dense(4096).module("classifier.3").relu().dropout(0.5);
    net.dense(classes).module("classifier.6")
}

/// Krizhevsky, 2014.
fn alexnet(net: Sequential, classes: usize) -> Sequential {
    let conv = |net: Sequential, filters, kernel, [stride, padding]: [usize; 2], at: usize| {
        let net = net.conv2d_with(filters, kernel, stride, Padding::all(padding));
        net.module(format!("features.{at}")).relu()
    };
    let net = conv(photo(net), 64, 11, [4, 2], 0).max_pool2d_with(3, 2);
    let net = conv(net, 192, 5, [1, 2], 3).max_pool2d_with(3, 2);
    let net = conv(conv(conv(net, 384, 3, [1, 1], 6), 256, 3, [1, 1], 8), 256, 3, [1, 1], 10).max_pool2d_with(3, 2);
    let net = net.adaptive_avg_pool2d(6).flatten().dropout(0.5).dense(4096).module("classifier.1").relu();
    net.dropout(0.5).dense(4096).module("classifier.4").relu().dense(classes).module("classifier.6")
}
