//! Convolutions in groups, with dilation, depthwise and transposed, forward and backward.

use crate::layers::hold_in;
use crate::ops::Stored;
use wgrad::model::layers::{Conv2d, ConvTranspose2d, DepthwiseConv2d, LayerEntry};

fn hold(kind: &str, layer: impl Fn(&Stored) -> LayerEntry, holds: &[&str]) {
    hold_in("convs", kind, layer, holds);
}

fn conv2d(case: &Stored, bias: bool) -> LayerEntry {
    LayerEntry::from(Conv2d {
        filters: case.size("o"),
        kernel: case.pair("kernel"),
        stride: case.pair("stride"),
        padding: case.padding(),
        dilation: case.pair("dilation"),
        groups: case.size("groups"),
        bias,
    })
}

fn depthwise(case: &Stored, bias: bool) -> LayerEntry {
    LayerEntry::from(DepthwiseConv2d {
        kernel: case.pair("kernel"),
        stride: case.pair("stride"),
        padding: case.padding(),
        dilation: case.pair("dilation"),
        multiplier: case.size("multiplier"),
        bias,
    })
}

fn transposed(case: &Stored, bias: bool) -> LayerEntry {
    LayerEntry::from(ConvTranspose2d {
        filters: case.size("o"),
        kernel: case.pair("kernel"),
        stride: case.pair("stride"),
        padding: case.padding(),
        bias,
    })
}

const IN_GROUPS: [&str; 3] = ["conv2d_grouped", "conv2d_grouped_dw", "conv2d_grouped_dx"];

#[test]
fn convolution_in_groups_and_with_dilation() {
    hold("grouped", |case| conv2d(case, true), &IN_GROUPS);
}

#[test]
fn depthwise_convolution() {
    hold("depthwise", |case| depthwise(case, true), &IN_GROUPS);
}

#[test]
fn transposed_convolution() {
    hold("transposed", |case| transposed(case, true), &["conv2d_dx", "conv2d", "conv2d_dw", "add_bias", "add_bias_db"]);
}

#[test]
fn convolutions_without_a_bias() {
    hold("grouped_without_bias", |case| conv2d(case, false), &[]);
    hold("depthwise_without_bias", |case| depthwise(case, false), &IN_GROUPS);
    hold("transposed_without_bias", |case| transposed(case, false), &["conv2d_dx", "conv2d", "conv2d_dw"]);
}
