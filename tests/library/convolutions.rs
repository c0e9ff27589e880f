//! Convolutions of every kind in files and in the builder, refused values, and fusion.

use wgrad::model::{Model, Sequential};
use wgrad::ops::conv::geometry::Padding;
use wgrad::train::step::Step;

const CONVOLUTIONS: &str = r#"
input = [7, 6, 4]

[[layers]]
type = "conv2d"
filters = 6
kernel = 3
padding = "same"
dilation = 2
groups = 2

[[layers]]
type = "depthwise_conv2d"
kernel = [2, 3]
dilation = [1, 2]
multiplier = 2

[[layers]]
type = "depthwise_conv2d"
kernel = 2
stride = [2, 1]
padding = "same"

[[layers]]
type = "conv_transpose2d"
filters = 3
kernel = [3, 2]
stride = 2
padding = "same"

[[layers]]
type = "conv_transpose2d"
filters = 2
kernel = 2

[[layers]]
type = "flatten"

[[layers]]
type = "dense"
units = 3
"#;

/// File, builder, description and back.
#[test]
fn convolutions_of_every_kind() {
    let net = Sequential::new([7, 6, 4]).name("net").conv2d_with(6, 3, 1, Padding::Same).dilated(2).grouped(2);
    let net = net.depthwise_conv2d([2, 3]).dilated([1, 2]).multiplied(2);
    let net = net.depthwise_conv2d_with(2, [2, 1], Padding::Same).conv_transpose2d_with(3, [3, 2], 2, Padding::Same);
    let built = net.conv_transpose2d(2, 2).flatten().dense(3).build().unwrap();
    assert_eq!(Model::from_toml(CONVOLUTIONS, "net.toml", "net").unwrap(), built);
    assert_eq!(Model::from_toml(&built.to_toml(), "net.toml", "net").unwrap(), built);
    assert_eq!(Model::from_json(&built.to_json().unwrap()).unwrap(), built);
    let shapes: Vec<Vec<usize>> = built.infer().unwrap().into_iter().map(|layer| layer.shape).collect();
    assert_eq!(shapes[..5], [vec![7, 6, 6], vec![6, 2, 12], vec![3, 2, 12], vec![6, 4, 3], vec![7, 5, 2]]);
    let summary = built.summary().unwrap();
    for line in [
        "│ 0 (conv2d)                    │ (None, 7, 6, 6)          │           114 │",
        "│ 1 (depthwise_conv2d)          │ (None, 6, 2, 12)         │            84 │",
        "│ 3 (conv_transpose2d)          │ (None, 6, 4, 3)          │           219 │",
    ] {
        assert!(summary.contains(line), "{summary}");
    }
    // What files had before these options came is what they have without them.
    let plain = Sequential::new([4, 4, 2]).conv2d(2, 3).flatten().dense(3).build().unwrap();
    for text in [plain.to_toml(), plain.to_json().unwrap()] {
        assert!(!text.contains("dilation") && !text.contains("groups"), "{text}");
    }
    let end = |net: Sequential| net.flatten().dense(3).build().unwrap_err().to_string();
    let net = || Sequential::new([4, 4, 2]).relu();
    assert!(
        end(net().dilated(2))
            .contains("found dilation = [2, 2] after a layer that has no such key, expected it after \"conv2d\" or")
    );
    assert!(end(net().depthwise_conv2d(2).grouped(2)).contains("found groups = 2 after a layer that has no such key"));
    assert!(end(net().conv2d(2, 2).multiplied(2)).contains("expected it after \"depthwise_conv2d\""));
}

#[test]
fn what_is_wrong_with_a_convolution_is_named_with_its_line() {
    for (from, to, want) in [
        ("groups = 2", "groups = 3", "line 4: layer 0 (conv2d): found 4 channels and groups = 3, expected channels in"),
        ("groups = 2", "groups = 4", "layer 0 (conv2d): found 6 filters and groups = 4, expected filters in multiples"),
        ("groups = 2", "groups = 0", "line 10: layer 0 (conv2d): found groups = 0, expected a whole number from 1"),
        ("groups = 2", "group = 2", "line 10: layer 0 (conv2d): found unknown key group, expected type, filters"),
        ("dilation = 2", "dilation = [2]", "line 9: layer 0 (conv2d): found dilation = [2], expected n or [h, w]"),
        ("dilation = [1, 2]", "dilation = 9", "line 12: layer 1 (depthwise_conv2d): a window of 10 × 19 does not fit"),
        ("multiplier = 2", "filters = 2", "line 16: layer 1 (depthwise_conv2d): found unknown key filters, expected"),
        ("multiplier = 2", "multiplier = -1", "line 16: layer 1 (depthwise_conv2d): found multiplier = -1, expected a"),
        ("stride = 2\npadding = \"same\"", "padding = 1.5", "line 28: layer 3 (conv_transpose2d): found padding = 1.5"),
        ("filters = 2\nkernel = 2", "kernel = 2", "line 31: layer 4 (conv_transpose2d): found no key filters"),
        ("filters = 2", "filters = 2\ndilation = 2", "line 34: layer 4 (conv_transpose2d): found unknown key dilation"),
        ("\"conv_transpose2d\"", "\"conv2d_transpose\"", "line 25: layer 3: found type = \"conv2d_transpose\""),
    ] {
        assert!(CONVOLUTIONS.contains(from), "{from}");
        let error = Model::from_toml(&CONVOLUTIONS.replacen(from, to, 1), "net.toml", "net").unwrap_err().to_string();
        assert!(error.contains(want), "{to}: {error}");
    }
}

/// A form that is for plain convolutions alone is chosen for no other.
#[test]
fn fused_forms_hold_for_plain_convolutions() {
    let ops = |net: Sequential| {
        let model = net.relu().max_pool2d(2).flatten().dense(3).build().unwrap();
        let graph = Step::evaluation(&model, 8, 4).unwrap().graph;
        graph.nodes.iter().map(|node| format!("{:?}", node.op)).collect::<Vec<_>>().join("\n")
    };
    let net = || Sequential::new([8, 8, 4]);
    assert!(ops(net().conv2d(4, 3)).contains("Conv2dReluPool"));
    for net in [
        net().conv2d(4, 3).dilated(2),
        net().conv2d(4, 3).grouped(2),
        net().depthwise_conv2d(3),
        net().conv_transpose2d(4, 3),
    ] {
        let ops = ops(net);
        assert!(!ops.contains("Conv2dReluPool") && ops.contains("then: Relu") && ops.contains("MaxPool2d"), "{ops}");
    }
}
