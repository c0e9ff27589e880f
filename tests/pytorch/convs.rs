//! Convolutions in groups, with dilation, depthwise and transposed, forward and backward.

use crate::layers::hold;
use crate::ops::Stored;
use wgrad::model::Layer;

#[test]
fn convolution_in_groups_and_with_dilation() {
    let layer = |case: &Stored| Layer::Conv2d {
        filters: case.size("o"),
        kernel: case.pair("kernel"),
        stride: case.pair("stride"),
        padding: case.padding(),
        dilation: case.pair("dilation"),
        groups: case.size("groups"),
    };
    hold("grouped", layer, &["conv2d_grouped", "conv2d_grouped_dw", "conv2d_grouped_dx"]);
}

#[test]
fn depthwise_convolution() {
    let layer = |case: &Stored| Layer::DepthwiseConv2d {
        kernel: case.pair("kernel"),
        stride: case.pair("stride"),
        padding: case.padding(),
        dilation: case.pair("dilation"),
        multiplier: case.size("multiplier"),
    };
    hold("depthwise", layer, &["conv2d_grouped", "conv2d_grouped_dw", "conv2d_grouped_dx"]);
}

#[test]
fn transposed_convolution() {
    let layer = |case: &Stored| Layer::ConvTranspose2d {
        filters: case.size("o"),
        kernel: case.pair("kernel"),
        stride: case.pair("stride"),
        padding: case.padding(),
    };
    hold("transposed", layer, &["conv2d_dx", "conv2d", "conv2d_dw", "add_bias", "add_bias_db"]);
}
