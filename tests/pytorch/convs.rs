//! Convolutions in groups, with dilation, depthwise and transposed, forward and backward.

use crate::layers::hold_in;
use crate::ops::Stored;
use wgrad::model::layers::{Conv2d, ConvTranspose2d, DepthwiseConv2d, LayerEntry};

fn hold(kind: &str, layer: impl Fn(&Stored) -> LayerEntry, holds: &[&str]) {
    hold_in("convs", kind, layer, holds);
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
