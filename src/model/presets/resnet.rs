//! Residual nets: torchvision's ResNets and RegNet, and small ones for images of 32 × 32.

use super::{IMAGENET, PHOTO, Preset, conv_norm, photo};
use crate::model::Sequential;
use crate::ops::conv::geometry::Padding;
use crate::ops::pointwise::activation::Function;

const fn imagenet(name: &'static str, layers: fn(Sequential, usize) -> Sequential) -> Preset {
    Preset { name, input: PHOTO, classes: IMAGENET, text: None, layers }
}

const fn cifar(name: &'static str, layers: fn(Sequential, usize) -> Sequential) -> Preset {
    Preset { name, input: &[32, 32, 3], classes: 10, text: None, layers }
}

pub(super) const PRESETS: &[Preset] = &[
    imagenet("resnet18", |net, classes| headed(resnet(net, "", [2, 2, 2, 2], false, false), classes)),
    imagenet("resnet34", |net, classes| headed(resnet(net, "", [3, 4, 6, 3], false, false), classes)),
    imagenet("resnet50", |net, classes| headed(resnet(net, "", [3, 4, 6, 3], true, false), classes)),
    imagenet("regnet_y_400mf", regnet_y_400mf),
    cifar("wrn16_8", |net, classes| wide(net, 2, 8, classes)),
    cifar("resnet9", resnet9),
];

/// The mean of each channel, and a class of it.
fn headed(net: Sequential, classes: usize) -> Sequential {
    net.global_avg_pool2d().dense(classes).module("fc")
}

/// The images of torchvision's `ResNet` (He and others, 2015), of two convolutions in a block or of three, whose second has the
/// stride. With `dilated` the last two stages leave height and width, and the taps of their windows lie further apart, as nets for
/// a class per pixel have it.
pub(super) fn resnet(net: Sequential, prefix: &str, blocks: [usize; 4], deep: bool, dilated: bool) -> Sequential {
    let [conv, norm] = ["conv1", "bn1"].map(|part| format!("{prefix}{part}"));
    let net = conv_norm(photo(net), 64, [7, 2], [&conv, &norm]).relu();
    let mut net = net.max_pool2d_with(3, 2).padded(Padding::all(1));
    let (mut before, mut dilation) = (64, 1);
    for (stage, count) in (1..).zip(blocks) {
        let width = 32 << stage;
        let filters = if deep { 4 * width } else { width };
        for block in 0..count {
            let spread = dilated && stage > 2;
            let stride = if stage > 1 && block == 0 && !spread { 2 } else { 1 };
            let name = |part: &str| format!("{prefix}layer{stage}.{block}.{part}");
            let (start, end) = (name("start"), name("end"));
            let part = |net, filters, sizes, at: usize| {
                conv_norm(net, filters, sizes, [&name(&format!("conv{at}")), &name(&format!("bn{at}"))])
            };
            net = net.named(&start);
            net = match deep {
                true => {
                    let net = part(net, width, [1, 1], 1).relu();
                    let net = net.conv2d_with(width, 3, stride, Padding::all(dilation)).dilated(dilation);
                    let net = net.without_bias().module(name("conv2")).batch_norm().module(name("bn2")).relu();
                    part(net, filters, [1, 1], 3)
                }
                false => part(part(net, width, [3, stride], 1).relu(), width, [3, 1], 2),
            };
            net = match stride > 1 || before != filters {
                true => {
                    shortcut(net, [&start, &end], [filters, stride], [&name("downsample.0"), &name("downsample.1")])
                }
                false => net.add_from(&start),
            };
            net = net.relu();
            before = filters;
            if spread && block == 0 {
                dilation *= 2;
            }
        }
    }
    net
}

/// What a branch gives, plus a convolution of 1 × 1 of what it began with.
fn shortcut(net: Sequential, [start, end]: [&str; 2], [filters, stride]: [usize; 2], modules: [&str; 2]) -> Sequential {
    let net = net.named(end).conv2d_with(filters, 1, stride, Padding::Valid).without_bias().reading(start);
    net.module(modules[0]).batch_norm().module(modules[1]).add_from(end)
}

/// torchvision's `regnet_y_400mf` (Radosavovic and others, 2020): groups of eight channels, with squeeze and excitation.
fn regnet_y_400mf(net: Sequential, classes: usize) -> Sequential {
    let mut net = conv_norm(photo(net), 32, [3, 2], ["stem.0", "stem.1"]).relu();
    let mut before = 32;
    for (stage, [width, count]) in (1..).zip([[48, 1], [104, 3], [208, 6], [440, 6]]) {
        for block in 0..count {
            let stride = if block == 0 { 2 } else { 1 };
            let name = |part: &str| format!("trunk_output.block{stage}.block{stage}-{block}.{part}");
            let (start, end) = (name("start"), name("end"));
            let part = |net, sizes, at: &str| {
                conv_norm(net, width, sizes, [&name(&format!("f.{at}.0")), &name(&format!("f.{at}.1"))])
            };
            net = part(net.named(&start), [1, 1], "a").relu();
            let convolved = net.conv2d_with(width, 3, stride, Padding::all(1)).grouped(width / 8).without_bias();
            net = convolved.module(name("f.b.0")).batch_norm().module(name("f.b.1")).relu();
            // Rounded as Python does, halves to the even neighbour.
            let squeezed = (before as f64 * 0.25).round_ties_even() as usize;
            net = gate(net, squeezed, Function::Sigmoid, &name("f.se"));
            net = part(net, [1, 1], "c");
            net = match stride > 1 || before != width {
                true => shortcut(net, [&start, &end], [width, stride], [&name("proj.0"), &name("proj.1")]),
                false => net.add_from(&start),
            };
            net = net.relu();
            before = width;
        }
    }
    net.global_avg_pool2d().dense(classes).module("fc")
}

/// Squeeze and excitation (Hu and others, 2018) by convolutions of 1 × 1, as torchvision has it, with a ReLU between.
pub(super) fn gate(net: Sequential, squeezed: usize, end: Function, module: &str) -> Sequential {
    gate_by(net, squeezed, |net| net.relu(), end, module)
}

/// `gate` with another activation between.
pub(super) fn gate_by(
    net: Sequential,
    squeezed: usize,
    between: impl Fn(Sequential) -> Sequential,
    end: Function,
    module: &str,
) -> Sequential {
    let (net, [fc1, fc2, gated]) = (net, ["fc1", "fc2", "gated"].map(|part| format!("{module}.{part}")));
    let channels = net.channels();
    let net = between(net.named(&gated).adaptive_avg_pool2d(1).conv2d(squeezed, 1).module(fc1));
    net.conv2d(channels, 1).module(fc2).activation(end).flatten().multiply_from(&gated)
}

/// A wide residual net (Zagoruyko and Komodakis, 2016), normalised before each convolution: three stages of that many blocks.
fn wide(net: Sequential, blocks: usize, width: usize, classes: usize) -> Sequential {
    let mut net = net.conv2d_with(16, 3, 1, Padding::all(1)).without_bias().module("conv1");
    let mut before = 16;
    for (stage, filters) in [16 * width, 32 * width, 64 * width].into_iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = |part: &str| format!("block{}.layer.{block}.{part}", stage + 1);
            let (start, normal, end) = (name("start"), name("normal"), name("end"));
            net = net.named(&start).batch_norm().module(name("bn1")).relu().named(&normal);
            net = conv_norm(net, filters, [3, stride], [&name("conv1"), &name("bn2")]).relu();
            net = net.conv2d_with(filters, 3, 1, Padding::all(1)).without_bias().module(name("conv2"));
            net = match before == filters {
                true => net.add_from(&start),
                false => {
                    let net = net.named(&end).conv2d_with(filters, 1, stride, Padding::Valid).without_bias();
                    net.reading(&normal).module(name("convShortcut")).add_from(&end)
                }
            };
            before = filters;
        }
    }
    net.batch_norm().module("bn1").relu().global_avg_pool2d().dense(classes).module("fc")
}

/// D. Page's ResNet-9 (DAWNBench, 2018), whose scores are scaled down.
fn resnet9(net: Sequential, classes: usize) -> Sequential {
    let part = |net, filters, name: &str| {
        conv_norm(net, filters, [3, 1], [&format!("{name}_conv"), &format!("{name}_bn")]).relu()
    };
    let residual = |net: Sequential, filters, name: &str| {
        let start = format!("{name}_start");
        let net = part(net.named(&start), filters, &format!("{name}_residual_res1"));
        part(net, filters, &format!("{name}_residual_res2")).add_from(&start)
    };
    let net = residual(part(part(net, 64, "prep"), 128, "layer1").max_pool2d(2), 128, "layer1");
    let net = part(net, 256, "layer2").max_pool2d(2);
    let net = residual(part(net, 512, "layer3").max_pool2d(2), 512, "layer3");
    net.global_max_pool2d().dense(classes).without_bias().module("linear").scale(0.125)
}
