//! Layers alone: shapes, parameters, and what is refused.

use super::*;
use crate::graph::TensorInfo;

const SAME: Layer = Layer::Conv2d { filters: 4, kernel: [3, 2], stride: [2, 3], padding: Padding::Same };

#[test]
fn the_graph_has_the_inferred_shapes() {
    let flat: &[usize] = &[7];
    let image: &[usize] = &[7, 5, 3];
    let pool = Layer::MaxPool2d { size: [3, 2], stride: [2, 1] };
    for (layer, input, want) in [
        (SAME, image, vec![4, 2, 4]),
        (pool, image, vec![3, 4, 3]),
        (Layer::Relu {}, image, vec![7, 5, 3]),
        (Layer::Flatten {}, image, vec![105]),
        (Layer::Flatten {}, &[7, 5, 1], vec![35]),
        (Layer::Flatten {}, &[1, 1, 9], vec![9]),
        (Layer::Flatten {}, flat, vec![7]),
        (Layer::Dense { units: 6 }, flat, vec![6]),
    ] {
        let mut graph = Graph::new();
        let x = graph.tensor(TensorInfo::floats("x", crate::graph::Shape([&[2], input].concat())));
        let y = layer.build(5, &mut graph, x, Build::INFERENCE).unwrap();
        assert_eq!(graph.shape(y)[1..], want, "{layer:?} {input:?}");
        let inferred = layer.infer(5, input).unwrap();
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
    let params = SAME.infer(3, &[7, 5, 2]).unwrap().params;
    let weight =
        ParamSpec { name: "3.weight".into(), file_shape: vec![4, 2, 3, 2], fan_in: 12, fan_out: 24, is_bias: false };
    let bias = ParamSpec { name: "3.bias".into(), file_shape: vec![4], is_bias: true, ..weight.clone() };
    assert_eq!(params, [weight, bias]);
    assert_eq!(params[0].layout(), Layout { file_shape: vec![4, 2, 3, 2], perm: vec![2, 3, 1, 0] });
    assert_eq!(params[1].layout(), Layout { file_shape: vec![4], perm: vec![0] });
}

/// Each is one sentence that names the layer, what was found and what was expected.
#[test]
fn what_does_not_fit_is_refused() {
    let conv = |filters, kernel, stride, padding| Layer::Conv2d { filters, kernel, stride, padding };
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
            Layer::MaxPool2d { size: [5, 5], stride: [1, 1] },
            vec![4, 9, 1],
            "layer 4 (max_pool2d): a window of 5 × 5 does",
        ),
        (Layer::MaxPool2d { size: [5, 5], stride: [1, 1] }, vec![9], "expected an image [height, width, channels]"),
        (Layer::MaxPool2d { size: [0, 5], stride: [1, 1] }, vec![9, 9, 1], "found size = 0"),
        (
            Layer::Dense { units: 3 },
            vec![4, 9, 1],
            "layer 4 (dense): found an input of shape [4, 9, 1], expected [features]: a flatten",
        ),
        (Layer::Dense { units: 0 }, vec![4], "found units = 0"),
        (Layer::Dense { units: 2_000_000_000 }, vec![4], "found weights of shape [2000000000, 4]"),
    ] {
        let error = layer.infer(4, &input).unwrap_err();
        assert!(matches!(error, Error::Input(_)) && error.to_string().contains(want), "{error}\n  lacks {want}");
    }
}

#[test]
fn a_batch_that_is_too_large_is_refused() {
    let grows = Layer::Conv2d { filters: 1000, kernel: [1, 1], stride: [1, 1], padding: Padding::Valid };
    for (layer, batch) in [(SAME, 0), (SAME, LARGEST), (SAME, usize::MAX), (grows, 1 << 20)] {
        let mut graph = Graph::new();
        let x = graph.tensor(TensorInfo::floats("x", [batch, 7, 5, 2]));
        let error = layer.build(0, &mut graph, x, Build::INFERENCE).unwrap_err().to_string();
        assert!(error.starts_with("layer 0 (conv2d): found a batch"), "{error}");
    }
}

/// Weight files agree with PyTorch because features come channel by channel.
#[test]
fn flatten_yields_channels_first() {
    use crate::values::Values;
    let mut graph = Graph::new();
    let x = graph.tensor(TensorInfo::floats("x", [2, 2, 3, 2]));
    let y = Layer::Flatten {}.build(0, &mut graph, x, Build::INFERENCE).unwrap();
    let mut executor = crate::cpu::Executor::<f64>::new(graph, false).unwrap();
    executor.set(x, Values::Float((0..24).map(f64::from).collect())).unwrap();
    executor.step();
    let one = [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11];
    let want = one.into_iter().chain(one.map(|i| i + 12)).map(f64::from).collect();
    assert_eq!(executor.get(y), Values::Float(want));
}
