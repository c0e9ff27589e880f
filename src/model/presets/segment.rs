//! Published nets for a class per pixel.

use super::resnet::resnet;
use super::{PHOTO, Preset, conv_norm};
use crate::model::Sequential;
use crate::ops::conv::geometry::Padding;

/// The classes of the data that torchvision's weights were trained on: those of Pascal VOC and the background.
const VOC: usize = 21;

pub(super) const PRESETS: &[Preset] = &[
    Preset { name: "unet", input: &[128, 128, 3], classes: 2, text: None, layers: unet },
    Preset { name: "fcn_resnet50", input: PHOTO, classes: VOC, text: None, layers: fcn },
    Preset { name: "deeplabv3_resnet50", input: PHOTO, classes: VOC, text: None, layers: deeplab },
];

/// The images of torchvision's ResNet-50 for a class per pixel, an eighth as high and wide.
fn backbone(net: Sequential) -> Sequential {
    resnet(net, "backbone.", [3, 4, 6, 3], true, true)
}

/// torchvision's fully convolutional net (Long and others, 2014) on a ResNet-50; height and width must be multiples of eight.
fn fcn(net: Sequential, classes: usize) -> Sequential {
    let net = conv_norm(backbone(net), 512, [3, 1], ["classifier.0", "classifier.1"]).relu().dropout(0.1);
    net.conv2d(classes, 1).module("classifier.4").upsample2d_bilinear(8)
}

/// torchvision's DeepLabV3 (Chen and others, 2017) on a ResNet-50: windows of several sizes beside each other; height and width must
/// be multiples of eight.
fn deeplab(net: Sequential, classes: usize) -> Sequential {
    const WIDTH: usize = 256;
    let places = [0, 1].map(|axis| net.input().get(axis).copied().unwrap_or(8).div_ceil(8));
    let name = |part: &str| format!("classifier.0.{part}");
    let [start, one, near, middle, far, whole] =
        ["start", "convs.0", "convs.1", "convs.2", "convs.3", "convs.4"].map(name);
    let mut net = backbone(net).named(&start);
    net = conv_norm(net, WIDTH, [1, 1], [&format!("{one}.0"), &format!("{one}.1")]).relu().named(&one);
    for (branch, dilation) in [(&near, 12), (&middle, 24), (&far, 36)] {
        net = net.conv2d_with(WIDTH, 3, 1, Padding::all(dilation)).dilated(dilation).without_bias().reading(&start);
        net = net.module(format!("{branch}.0")).batch_norm().module(format!("{branch}.1")).relu().named(branch);
    }
    net = net.adaptive_avg_pool2d(1).reading(&start);
    net = conv_norm(net, WIDTH, [1, 1], [&format!("{whole}.1"), &format!("{whole}.2")]).relu();
    net = net.upsample2d_bilinear(places).named(&whole).concat_of([&one, &near, &middle, &far, &whole]);
    net = conv_norm(net, WIDTH, [1, 1], [&name("project.0"), &name("project.1")]).relu().dropout(0.5);
    net = conv_norm(net, WIDTH, [3, 1], ["classifier.1", "classifier.2"]).relu();
    net.conv2d(classes, 1).module("classifier.4").upsample2d_bilinear(8)
}

/// The U-Net of the PyTorch repository milesial/Pytorch-UNet, with transposed convolutions; height and width must be multiples
/// of sixteen.
fn unet(net: Sequential, classes: usize) -> Sequential {
    let double = |net, filters, name: &str| {
        let part = |net, [conv, norm]: [usize; 2]| {
            let names = [conv, norm].map(|at| format!("{name}.double_conv.{at}"));
            conv_norm(net, filters, [3, 1], [&names[0], &names[1]]).relu()
        };
        part(part(net, [0, 1]), [3, 4])
    };
    let mut net = double(net, 64, "inc").named("inc");
    for (down, filters) in (1..).zip([128, 256, 512, 1024]) {
        let name = format!("down{down}");
        net = double(net.max_pool2d(2), filters, &format!("{name}.maxpool_conv.1")).named(&name);
    }
    for (up, (filters, skip)) in (1..).zip([(512, "down3"), (256, "down2"), (128, "down1"), (64, "inc")]) {
        let name = format!("up{up}.up");
        net = net.conv_transpose2d_with(filters, 2, 2, Default::default()).module(&name).named(&name);
        net = double(net.concat_of([skip, &name]), filters, &format!("up{up}.conv"));
    }
    net.conv2d(classes, 1).module("outc.conv")
}
