//! Published nets for a class per pixel.

use super::{Preset, conv_norm};
use crate::model::Sequential;

pub(super) const PRESETS: &[Preset] =
    &[Preset { name: "unet", input: &[128, 128, 3], classes: 2, text: None, layers: unet }];

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
