//! Convolutions in groups, with dilation, depthwise and transposed, forward and backward.

use crate::ops::{PLAIN, Stored, chain, every_of, layered, ops};
use wgrad::model::layers::{Conv2d, ConvTranspose2d, DepthwiseConv2d, LayerEntry};

/// Holds the layer of each case of a kind to PyTorch; `holds` says which ops it may be made of.
fn hold(kind: &str, layer: impl Fn(&Stored) -> LayerEntry, holds: &[&str]) {
    every_of("convs", kind, |case| {
        let layers = [layer(case)];
        let net = layered(case, PLAIN, &[""], |g, x| vec![chain(g, 0, x, &layers)]);
        for op in holds {
            assert!(ops(&net).contains(op), "{}: {:?}", case.label, ops(&net));
        }
        net.check(&case.label)
    });
}

#[test]
fn convolution_in_groups_and_with_dilation() {
    let layer = |case: &Stored| {
        LayerEntry::from(Conv2d {
            filters: case.size("o"),
            kernel: case.pair("kernel"),
            stride: case.pair("stride"),
            padding: case.padding(),
            dilation: case.pair("dilation"),
            groups: case.size("groups"),
            bias: true,
        })
    };
    hold("grouped", layer, &["conv2d_grouped", "conv2d_grouped_dw", "conv2d_grouped_dx"]);
}

#[test]
fn depthwise_convolution() {
    let layer = |case: &Stored| {
        LayerEntry::from(DepthwiseConv2d {
            kernel: case.pair("kernel"),
            stride: case.pair("stride"),
            padding: case.padding(),
            dilation: case.pair("dilation"),
            multiplier: case.size("multiplier"),
            bias: true,
        })
    };
    hold("depthwise", layer, &["conv2d_grouped", "conv2d_grouped_dw", "conv2d_grouped_dx"]);
}

#[test]
fn transposed_convolution() {
    let layer = |case: &Stored| {
        LayerEntry::from(ConvTranspose2d {
            filters: case.size("o"),
            kernel: case.pair("kernel"),
            stride: case.pair("stride"),
            padding: case.padding(),
            bias: true,
        })
    };
    hold("transposed", layer, &["conv2d_dx", "conv2d", "conv2d_dw", "add_bias", "add_bias_db"]);
}
