//! Layers alone: shapes, parameters, and what is refused.

use crate::ir::graph::{Graph, Layout, TensorInfo};
use crate::model::Build;
use crate::model::layers::params::ParamSpec;
use crate::model::layers::*;
use crate::ops::conv::geometry::Padding;

const SAME: Conv2d = Conv2d {
    filters: 4,
    kernel: [3, 2],
    stride: [2, 3],
    padding: Padding::Same,
    dilation: [1, 1],
    groups: 1,
    bias: true,
};

const DEPTHWISE: DepthwiseConv2d = DepthwiseConv2d {
    kernel: [3, 2],
    stride: [2, 1],
    padding: Padding::Same,
    dilation: [1, 2],
    multiplier: 2,
    bias: true,
};
const TRANSPOSED: ConvTranspose2d =
    ConvTranspose2d { filters: 4, kernel: [3, 4], stride: [2, 3], padding: Padding::Valid, bias: true };

fn dilated(dilation: [usize; 2], groups: usize) -> LayerEntry {
    LayerEntry::from(Conv2d {
        filters: 6,
        kernel: [3, 2],
        stride: [1, 2],
        padding: Padding::Valid,
        dilation,
        groups,
        bias: true,
    })
}

#[test]
fn the_graph_has_the_inferred_shapes() {
    let flat: &[usize] = &[7];
    let image: &[usize] = &[7, 5, 3];
    let pool = LayerEntry::from(MaxPool2d { stride: [2, 1], ..MaxPool2d::new([3, 2]) });
    for (layer, input, want) in [
        (LayerEntry::from(SAME), image, vec![4, 2, 4]),
        (pool, image, vec![3, 4, 3]),
        (dilated([2, 1], 3), image, vec![3, 2, 6]),
        (DEPTHWISE.into(), image, vec![4, 5, 6]),
        (TRANSPOSED.into(), image, vec![15, 16, 4]),
        (
            LayerEntry::from(ConvTranspose2d {
                filters: 2,
                kernel: [1, 4],
                stride: [2, 3],
                padding: Padding::Same,
                bias: true,
            }),
            image,
            vec![14, 15, 2],
        ),
        (LayerEntry::from(AvgPool2d { stride: [2, 1], ..AvgPool2d::new([3, 2]) }), image, vec![3, 4, 3]),
        (LayerEntry::from(BatchNorm { epsilon: 1e-5, momentum: 0.1 }), image, vec![7, 5, 3]),
        (LayerEntry::from(BatchNorm { epsilon: 1e-5, momentum: 0.1 }), flat, vec![7]),
        (LayerEntry::from(GlobalAvgPool2d::new()), image, vec![3]),
        (LayerEntry::from(GlobalMaxPool2d::new()), image, vec![3]),
        (LayerEntry::from(Relu::new()), image, vec![7, 5, 3]),
        (LayerEntry::from(Flatten::new()), image, vec![105]),
        (LayerEntry::from(Flatten::new()), &[7, 5, 1], vec![35]),
        (LayerEntry::from(Flatten::new()), &[1, 1, 9], vec![9]),
        (LayerEntry::from(Flatten::new()), flat, vec![7]),
        (LayerEntry::from(Dense { units: 6, bias: true }), flat, vec![6]),
        (LayerEntry::from(Slice { channels: 2, skip: 1 }), image, vec![7, 5, 2]),
        (LayerEntry::from(ChannelShuffle { groups: 3 }), image, vec![7, 5, 3]),
        (LayerEntry::from(Upsample2d { factor: [2, 3], mode: Interpolation::Bilinear }), image, vec![14, 15, 3]),
        (LayerEntry::from(Tokens { positions: Positions::Learned, class_token: true }), image, vec![36, 3]),
        (LayerEntry::from(Transpose::new()), &[7, 5], vec![5, 7]),
        (LayerEntry::from(First::new()), &[7, 5], vec![5]),
    ] {
        let mut graph = Graph::new();
        let x = graph.tensor(TensorInfo::floats("x", crate::ir::graph::Shape([&[2], input].concat())));
        let y = layer.build(5, &mut graph, &[x], Build::INFERENCE).unwrap();
        assert_eq!(graph.shape(y)[1..], want, "{layer:?} {input:?}");
        let inferred = layer.infer(5, &[input]).unwrap();
        assert_eq!(inferred.shape, want, "{layer:?} {input:?}");
        for (param, spec) in graph.params.iter().zip(&inferred.params) {
            assert_eq!((&param.name, &param.file_shape.0), (&spec.name, &spec.file_shape));
            assert_eq!(graph.info(param.tensor).elements(), spec.elements());
        }
        assert_eq!(graph.params.len(), inferred.params.len());
    }
}

#[test]
fn a_convolution_names_its_parameters_as_pytorch_does() {
    let params = LayerEntry::from(SAME).infer(3, &[&[7, 5, 2]]).unwrap().params;
    let weight = ParamSpec {
        name: "3.weight".into(),
        file_shape: vec![4, 2, 3, 2],
        fan_in: 12,
        fan_out: 24,
        is_bias: false,
        starts_at: None,
        spread: None,
        running: false,
    };
    let bias = ParamSpec { name: "3.bias".into(), file_shape: vec![4], is_bias: true, ..weight.clone() };
    assert_eq!(params, [weight, bias]);
    assert_eq!(params[0].layout(), Layout { file_shape: vec![4, 2, 3, 2], perm: vec![2, 3, 1, 0] });
    assert_eq!(params[1].layout(), Layout { file_shape: vec![4], perm: vec![0] });
}

/// File shape, sizes in memory and both fans of a weight, and the length of the bias.
#[test]
fn every_convolution_has_the_weights_of_pytorch() {
    for (layer, file, memory, fans, bias) in [
        (dilated([2, 1], 1), [6, 3, 3, 2], [3, 2, 3, 6], [18, 36], 6),
        (dilated([1, 1], 3), [6, 1, 3, 2], [3, 2, 1, 6], [6, 12], 6),
        (DEPTHWISE.into(), [6, 1, 3, 2], [3, 2, 1, 6], [6, 12], 6),
        (TRANSPOSED.into(), [3, 4, 3, 4], [3, 4, 4, 3], [36, 48], 4),
    ] {
        let params = layer.infer(0, &[&[7, 5, 3]]).unwrap().params;
        assert_eq!((&params[0].file_shape[..], params[0].fan_in, params[0].fan_out), (&file[..], fans[0], fans[1]));
        assert_eq!(params[1].file_shape, [bias], "{layer:?}");
        let Layout { file_shape, perm } = params[0].layout();
        assert_eq!(perm.iter().map(|&axis| file_shape[axis]).collect::<Vec<_>>(), memory, "{layer:?}");
    }
}

/// Each is one sentence that names the layer, what was found and what was expected.
#[test]
fn what_does_not_fit_is_refused() {
    let conv = |filters, kernel, stride, padding| {
        LayerEntry::from(Conv2d { filters, kernel, stride, padding, dilation: [1, 1], groups: 1, bias: true })
    };
    let most = usize::MAX;
    use Padding::{Same, Valid};
    for (layer, input, want) in [
        (conv(2, [3, 3], [1, 1], Valid), vec![18], "layer 4 (conv2d): found an input of shape [18], expected an image"),
        (
            conv(0, [3, 3], [1, 1], Valid),
            vec![9, 9, 1],
            "layer 4 (conv2d): found filters = 0, expected 1 to 2147483647",
        ),
        (conv(1_000_000_000_000_000, [3, 3], [1, 1], Valid), vec![9, 9, 1], "found filters = 1000000000000000"),
        (conv(1_000_000_000, [1, 1], [1, 1], Valid), vec![9, 9, 1], "found a result of shape [9, 9, 1000000000]"),
        (conv(70_000, [1, 1], [1, 1], Valid), vec![1, 1, 70_000], "found weights of shape [70000, 70000, 1, 1]"),
        (conv(1, [most, 1], [1, 1], Same), vec![9, 9, 1], "found kernel = 18446744073709551615"),
        (conv(1, [3, 3], [1, 0], Same), vec![9, 9, 1], "found stride = 0"),
        (conv(1, [3, 10], [1, 1], Valid), vec![9, 9, 1], "a window of 3 × 10 does not fit an input of 9 × 9"),
        (conv(1, [3, 3], [1, 1], Same), vec![0, 9, 1], "found an input of [0, 9, 1], expected 1 to"),
        (conv(1, [3, 3], [1, 1], Same), vec![most, most, most], "expected 1 to 2147483647 elements"),
        (
            LayerEntry::from(MaxPool2d { stride: [1, 1], ..MaxPool2d::new([5, 5]) }),
            vec![4, 9, 1],
            "layer 4 (max_pool2d): a window of 5 × 5 does",
        ),
        (
            LayerEntry::from(MaxPool2d { stride: [1, 1], ..MaxPool2d::new([5, 5]) }),
            vec![9],
            "expected an image [height, width, channels]",
        ),
        (
            LayerEntry::from(AvgPool2d { stride: [1, 1], ..AvgPool2d::new([5, 5]) }),
            vec![9],
            "expected an image [height, width, channels]",
        ),
        (
            LayerEntry::from(BatchNorm { epsilon: 0.0, momentum: 0.1 }),
            vec![9],
            "layer 4 (batch_norm): found epsilon = 0, expected a",
        ),
        (
            LayerEntry::from(BatchNorm { epsilon: f64::NAN, momentum: 0.1 }),
            vec![9],
            "found epsilon = NaN, expected a number above 0",
        ),
        (
            LayerEntry::from(BatchNorm { epsilon: 1e-5, momentum: 1.5 }),
            vec![9],
            "found momentum = 1.5, expected a number from 0 to",
        ),
        (LayerEntry::from(AvgPool2d { stride: [1, 0], ..AvgPool2d::new([5, 5]) }), vec![9, 9, 1], "found stride = 0"),
        (
            dilated([1, 1], 3),
            vec![9, 9, 4],
            "layer 4 (conv2d): found 4 channels and groups = 3, expected channels in multiples of it",
        ),
        (dilated([1, 1], 4), vec![9, 9, 4], "found 6 filters and groups = 4, expected filters in multiples of it"),
        (dilated([1, 1], 0), vec![9, 9, 4], "found groups = 0"),
        (dilated([1, 0], 1), vec![9, 9, 4], "found dilation = 0"),
        (dilated([5, 1], 1), vec![9, 9, 4], "a window of 11 × 2 does not fit an input of 9 × 9"),
        (dilated([LARGEST, 1], 1), vec![9, 9, 4], "a window of 3 × 2 spans 4294967295 × 2 with its dilation"),
        (DEPTHWISE.into(), vec![9], "layer 4 (depthwise_conv2d): found an input of shape [9], expected an image"),
        (TRANSPOSED.into(), vec![9], "layer 4 (conv_transpose2d): found an input of shape [9], expected an image"),
        (TRANSPOSED.into(), vec![40_000, 40_000, 1], "found a result of shape [80001, 120001, 4]"),
        (
            LayerEntry::from(GlobalAvgPool2d::new()),
            vec![9],
            "layer 4 (global_avg_pool2d): found an input of shape [9], expected an image",
        ),
        (
            LayerEntry::from(GlobalMaxPool2d::new()),
            vec![9],
            "layer 4 (global_max_pool2d): found an input of shape [9], expected an image",
        ),
        (LayerEntry::from(MaxPool2d { stride: [1, 1], ..MaxPool2d::new([0, 5]) }), vec![9, 9, 1], "found size = 0"),
        (
            LayerEntry::from(Dense { units: 3, bias: true }),
            vec![4, 9, 1],
            "layer 4 (dense): found an input of shape [4, 9, 1], expected [features]: a flatten",
        ),
        (LayerEntry::from(Dense { units: 0, bias: true }), vec![4], "found units = 0"),
        (
            LayerEntry::from(Dense { units: 2_000_000_000, bias: true }),
            vec![4],
            "found weights of shape [2000000000, 4]",
        ),
    ] {
        let error = layer.infer(4, &[&input]).unwrap_err();
        assert!(matches!(error, Error::Input(_)) && error.to_string().contains(want), "{error}\n  lacks {want}");
    }
}

#[test]
fn a_batch_that_is_too_large_is_refused() {
    let grows = LayerEntry::from(Conv2d {
        filters: 1000,
        kernel: [1, 1],
        stride: [1, 1],
        padding: Padding::Valid,
        dilation: [1, 1],
        groups: 1,
        bias: true,
    });
    for (layer, batch) in
        [(LayerEntry::from(SAME), 0), (SAME.into(), LARGEST), (SAME.into(), usize::MAX), (grows, 1 << 20)]
    {
        let mut graph = Graph::new();
        let x = graph.tensor(TensorInfo::floats("x", [batch, 7, 5, 2]));
        let error = layer.build(0, &mut graph, &[x], Build::INFERENCE).unwrap_err().to_string();
        assert!(error.starts_with("layer 0 (conv2d): found a batch"), "{error}");
    }
}

/// Weight files agree with PyTorch because features come channel by channel.
#[test]
fn flatten_yields_channels_first() {
    use crate::ir::values::Values;
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::floats("x", [2, 2, 3, 2]));
    let y = LayerEntry::from(Flatten::new()).build(0, &mut graph, &[x], Build::INFERENCE).unwrap();
    let mut executor = crate::device::cpu::Executor::<f64>::new(graph, false).unwrap();
    executor.set(x, Values::Float((0..24).map(f64::from).collect())).unwrap();
    executor.step();
    let one = [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11];
    let want = one.into_iter().chain(one.map(|i| i + 12)).map(f64::from).collect();
    assert_eq!(executor.get(y), Values::Float(want));
}
