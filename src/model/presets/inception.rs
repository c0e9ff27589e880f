//! Nets of branches side by side: torchvision's GoogLeNet and Inception v3, without their auxiliary heads. Their weights expect
//! colours from -1 to 1 (`transform_input`).

use super::{IMAGENET, PHOTO, Preset, signed_photo};
use crate::model::Sequential;
use crate::model::layers::BatchNorm;
use crate::ops::conv::geometry::Padding;

pub(super) const PRESETS: &[Preset] = &[
    Preset { name: "googlenet", input: PHOTO, classes: IMAGENET, text: None, layers: googlenet },
    Preset { name: "inception_v3", input: &[299, 299, 3], classes: IMAGENET, text: None, layers: inception_v3 },
];

/// torchvision's `BasicConv2d` of the result before, with as many zeros on each side as half the window.
fn conv(net: Sequential, filters: usize, window: [usize; 2], module: &str) -> Sequential {
    basic(net, None, filters, (window, 1, around(window)), module)
}

/// Zeros of half a window on each side.
fn around([rows, columns]: [usize; 2]) -> Padding {
    Padding::sides([rows / 2, rows / 2, columns / 2, columns / 2])
}

/// `BasicConv2d` with this window, stride and padding, of an earlier result where one is named.
fn basic(
    net: Sequential,
    from: Option<&str>,
    filters: usize,
    (window, stride, padding): ([usize; 2], usize, Padding),
    module: &str,
) -> Sequential {
    let net = net.conv2d_with(filters, window, stride, padding).without_bias();
    let net = if let Some(from) = from { net.reading(from) } else { net };
    let net = net.module(format!("{module}.conv")).layer(BatchNorm { epsilon: 1e-3, ..BatchNorm::new() });
    net.module(format!("{module}.bn")).relu()
}

/// A window that halves height and width, without zeros around.
const HALVES: ([usize; 2], usize, Padding) = ([3, 3], 2, Padding::Valid);

/// A single pixel.
const ONE: ([usize; 2], usize, Padding) = ([1, 1], 1, Padding::Valid);

/// Szegedy and others, 2014, with normalisations.
fn googlenet(net: Sequential, classes: usize) -> Sequential {
    let net = basic(signed_photo(net), None, 64, ([7, 7], 2, Padding::all(3)), "conv1").max_pool2d_with(3, 2).ceil();
    let net = conv(net, 64, [1, 1], "conv2");
    let mut net = conv(net, 192, [3, 3], "conv3").max_pool2d_with(3, 2).ceil();
    // Filters of 1 × 1, before 3 × 3 and of 3 × 3, before the second 3 × 3 and of it, and after the pool.
    let blocks = [
        ("3a", [64, 96, 128, 16, 32, 32]),
        ("3b", [128, 128, 192, 32, 96, 64]),
        ("4a", [192, 96, 208, 16, 48, 64]),
        ("4b", [160, 112, 224, 24, 64, 64]),
        ("4c", [128, 128, 256, 24, 64, 64]),
        ("4d", [112, 144, 288, 32, 64, 64]),
        ("4e", [256, 160, 320, 32, 128, 128]),
        ("5a", [256, 160, 320, 32, 128, 128]),
        ("5b", [384, 192, 384, 48, 128, 128]),
    ];
    for (block, [one, before3, three, before5, five, pooled]) in blocks {
        let name = |part: &str| format!("inception{block}.{part}");
        let [start, first, second, third, fourth] = ["start", "branch1", "branch2", "branch3", "branch4"].map(name);
        net = conv(net.named(&start), one, [1, 1], &first).named(&first);
        for (branch, before, filters) in [(&second, before3, three), (&third, before5, five)] {
            net = basic(net, Some(&start), before, ONE, &format!("{branch}.0"));
            net = conv(net, filters, [3, 3], &format!("{branch}.1")).named(branch);
        }
        net = net.max_pool2d_with(3, 1).padded(Padding::all(1)).ceil().reading(&start);
        net = conv(net, pooled, [1, 1], &format!("{fourth}.1")).named(&fourth);
        net = net.concat_of([&first, &second, &third, &fourth]);
        net = match block {
            "3b" => net.max_pool2d_with(3, 2).ceil(),
            "4e" => net.max_pool2d(2).ceil(),
            _ => net,
        };
    }
    net.global_avg_pool2d().dropout(0.2).dense(classes).module("fc")
}

/// Windows of a branch after its convolution of 1 × 1: filters, rows and columns.
type Windows<'a> = &'a [(usize, [usize; 2])];

/// A block of Inception v3: its name, and those of its branches that are joined.
struct Block<'a> {
    name: &'a str,
    joined: Vec<String>,
}

impl Block<'_> {
    fn start(&self) -> String {
        format!("{}.start", self.name)
    }

    /// A branch that begins with a convolution of 1 × 1; its last window may halve the image. Where there is one convolution its name has
    /// no number.
    fn branch(&mut self, net: Sequential, branch: &str, filters: usize, windows: Windows, halves: bool) -> Sequential {
        let module = format!("{}.{branch}", self.name);
        let number = |at: usize| if windows.is_empty() { module.clone() } else { format!("{module}_{at}") };
        let mut net = basic(net, Some(&self.start()), filters, ONE, &number(1));
        for (at, (filters, window)) in (2..).zip(windows) {
            net = match halves && at == windows.len() + 1 {
                true => basic(net, None, *filters, HALVES, &number(at)),
                false => conv(net, *filters, *window, &number(at)),
            };
        }
        self.joined.push(module.clone());
        net.named(module)
    }

    /// The means of 3 × 3, and a convolution of them.
    fn pooled(&mut self, net: Sequential, filters: usize) -> Sequential {
        let module = format!("{}.branch_pool", self.name);
        let net = net.avg_pool2d_with(3, 1).padded(Padding::all(1)).reading(&self.start());
        self.joined.push(module.clone());
        conv(net, filters, [1, 1], &module).named(module)
    }

    /// A quarter of the places.
    fn halved(&mut self, net: Sequential) -> Sequential {
        let module = format!("{}.pool", self.name);
        self.joined.push(module.clone());
        net.max_pool2d_with(3, 2).reading(&self.start()).named(module)
    }

    fn end(self, net: Sequential) -> Sequential {
        net.concat_of(&self.joined)
    }
}

/// Szegedy and others, 2015.
fn inception_v3(net: Sequential, classes: usize) -> Sequential {
    let net = basic(signed_photo(net), None, 32, HALVES, "Conv2d_1a_3x3");
    let net = basic(net, None, 32, ([3, 3], 1, Padding::Valid), "Conv2d_2a_3x3");
    let net = conv(net, 64, [3, 3], "Conv2d_2b_3x3").max_pool2d_with(3, 2);
    let net = conv(net, 80, [1, 1], "Conv2d_3b_1x1");
    let mut net = basic(net, None, 192, ([3, 3], 1, Padding::Valid), "Conv2d_4a_3x3").max_pool2d_with(3, 2);
    let block = |name| Block { name, joined: Vec::new() };
    let begin = |net: Sequential, block: &Block| net.named(block.start());
    for (name, pooled) in [("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)] {
        let mut b = block(name);
        net = b.branch(begin(net, &b), "branch1x1", 64, &[], false);
        net = b.branch(net, "branch5x5", 48, &[(64, [5, 5])], false);
        net = b.branch(net, "branch3x3dbl", 64, &[(96, [3, 3]), (96, [3, 3])], false);
        net = b.pooled(net, pooled);
        net = b.end(net);
    }
    let mut b = block("Mixed_6a");
    net = basic(begin(net, &b), None, 384, HALVES, "Mixed_6a.branch3x3").named("Mixed_6a.branch3x3");
    b.joined.push("Mixed_6a.branch3x3".into());
    net = b.branch(net, "branch3x3dbl", 64, &[(96, [3, 3]), (96, [3, 3])], true);
    net = b.halved(net);
    net = b.end(net);
    for (name, c) in [("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)] {
        let mut b = block(name);
        net = b.branch(begin(net, &b), "branch1x1", 192, &[], false);
        net = b.branch(net, "branch7x7", c, &[(c, [1, 7]), (192, [7, 1])], false);
        let long = [(c, [7, 1]), (c, [1, 7]), (c, [7, 1]), (192, [1, 7])];
        net = b.branch(net, "branch7x7dbl", c, &long, false);
        net = b.pooled(net, 192);
        net = b.end(net);
    }
    let mut b = block("Mixed_7a");
    net = b.branch(begin(net, &b), "branch3x3", 192, &[(320, [3, 3])], true);
    net = b.branch(net, "branch7x7x3", 192, &[(192, [1, 7]), (192, [7, 1]), (192, [3, 3])], true);
    net = b.halved(net);
    net = b.end(net);
    for name in ["Mixed_7b", "Mixed_7c"] {
        let mut b = block(name);
        net = b.branch(begin(net, &b), "branch1x1", 320, &[], false);
        for (branch, last, filters, windows) in
            [("branch3x3", 2, 384, &[][..]), ("branch3x3dbl", 3, 448, &[(384, [3, 3])])]
        {
            let module = format!("{name}.{branch}");
            net = basic(net, Some(&b.start()), filters, ONE, &format!("{module}_1"));
            for (at, (filters, window)) in (2..).zip(windows) {
                net = conv(net, *filters, *window, &format!("{module}_{at}"));
            }
            // A row and a column of three, side by side.
            let apart = format!("{module}.apart");
            net = net.named(&apart);
            for (part, window) in [("a", [1, 3]), ("b", [3, 1])] {
                let own = format!("{module}_{last}{part}");
                net = basic(net, Some(&apart), 384, (window, 1, around(window)), &own).named(&own);
                b.joined.push(own);
            }
        }
        net = b.pooled(net, 192);
        net = b.end(net);
    }
    net.global_avg_pool2d().dropout(0.5).dense(classes).module("fc")
}
